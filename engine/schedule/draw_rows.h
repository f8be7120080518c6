#pragma once

#include <string>
#include <vector>

#include "engine/schedule/simulate.h"

// What the drawings of a schedule share.

namespace lenet_flow {

/// One row of a drawing: a replica of a stage.
struct DrawnRow {
  std::string label;  ///< the stage's name, with "#replica" where there are several
  std::vector<TimedAction> actions;
};

/// A row for each replica of each stage, in the order of the stages.
std::vector<DrawnRow> drawn_rows(const Simulation& simulation, const ScheduleShape& shape,
                                 const std::vector<std::string>& stage_names);

/// How long an action takes that is neither short nor long among those that take time; 1 where none does.
double usual_duration(const Simulation& simulation);

/// The kinds of action that occur, in the order of their letters' meaning.
std::vector<ActionKind> drawn_kinds(const Simulation& simulation);

}  // namespace lenet_flow

#pragma once

#include <vector>

#include "engine/schedule/schedule.h"

namespace lenet_flow {

/// The links of a shape as lists of neighbours. For the files of this room.
struct StageGraph {
  struct Neighbour {
    int stage = 0;
    int link = 0;  ///< position in ScheduleShape::links
  };
  std::vector<std::vector<Neighbour>> before, after;  ///< one list a stage

  explicit StageGraph(const ScheduleShape& shape);

  bool is_entry(int stage) const { return before[static_cast<std::size_t>(stage)].empty(); }
  /// For every stage the largest sum of `weights` (one a stage) over a path from it to a stage that nothing follows,
  /// itself included; with weights 1 the number of stages on the longest such path.
  std::vector<double> longest_to_end(const std::vector<double>& weights) const;
  /// The largest number of stages on a path that starts and ends where a link does, less one: 1 in a chain, more where
  /// a link jumps stages that lie on another path.
  int longest_jump() const;
};

}  // namespace lenet_flow

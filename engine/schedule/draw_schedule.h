#pragma once

#include <string>
#include <vector>

#include "engine/schedule/simulate.h"

namespace lenet_flow {

/// A simulated schedule as a terminal timeline: one row a stage (and replica), a cell a unit of time with the
/// micro-batch's number, F, I, W (B), U and idle told apart by colour (ANSI, where `colours`) or by letter without. At
/// most `width` columns; longer ones are scaled, or cut with a mark that says so.
std::string draw_schedule_text(const Simulation& simulation, const ScheduleShape& shape,
                               const std::vector<std::string>& stage_names, int width, bool colours);

/// The same as a self-contained SVG page: rows a stage, time to the right, colours with a legend, micro-batch numbers,
/// hover titles, bubble in the caption; readable in dark mode and in print.
std::string draw_schedule_svg(const Simulation& simulation, const ScheduleShape& shape,
                              const std::vector<std::string>& stage_names, const std::string& caption);

}  // namespace lenet_flow

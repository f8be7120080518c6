#pragma once

#include <string>
#include <vector>

#include "engine/schedule/schedule.h"
#include "tools/terminal.h"

namespace lenet_flow {

/// A schedule's batch as a drawing, one line a device, when every F takes one unit and every B two (I and W one):
///
///     cpu0  F0 F1 .  .  B0--- B1---
///     cpu1  .  F0 F1 B0--- B1---
///
/// Actions carry their stage ("0F1") where a device has several. Cut to the terminal's width.
std::string timeline_text(const Schedule& schedule, const ScheduleShape& shape,
                          const std::vector<std::string>& device_names, const Terminal& terminal);

}  // namespace lenet_flow

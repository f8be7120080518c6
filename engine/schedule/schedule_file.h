#pragma once

#include <filesystem>
#include <string>

#include "engine/schedule/schedule.h"

namespace lenet_flow {

/// A schedule as CSV, one line a device: `0F0,0F1,0I0,0W0,...`; what PyTorch's pipelining reads and writes for its
/// ranks (torch.distributed.pipelining.schedules, compute-only format). Updates (`0U`) are written where they do not
/// stand in their usual place: behind a stage's last W or B, for a stage with several replicas at the end of the line.
/// Where a file has none they are added there. Empty cells are idle; "(0F1;1B0)OVERLAP_F_B" is read as 0F1,1B0.
std::string schedule_csv(const Schedule& schedule, const ScheduleShape& shape);

/// Throws InputError with every error found, each with file, line and column: unreadable, a cell that is no action
/// (with what would be one), a stage or micro-batch that there is not, an action twice or on another device's line or
/// missing, the wrong number of lines, a deadlock (named as its cycle).
Schedule read_schedule_csv(const std::filesystem::path& path, const ScheduleShape& shape);
Schedule parse_schedule_csv(const std::string& text, const std::string& path, const ScheduleShape& shape);

}  // namespace lenet_flow

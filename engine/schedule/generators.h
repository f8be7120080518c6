#pragma once

#include <string>
#include <vector>

#include "engine/schedule/schedule.h"

// What the files of this room that make schedules share.

namespace lenet_flow {

/// Adds the U that lists lack: right behind the last W or B of a stage; for a stage with several replicas, whose
/// other lists U waits for, at the end of replica 0's list, where nothing that it waits for can stand behind it.
Schedule with_updates(Schedule schedule, const ScheduleShape& shape);

/// For each stage, how many micro-batches must have begun there before the first comes back, as 1F1B counts them: the
/// stages on the longest path to the end, each counted as often as it has replicas, over the stage's own replicas.
std::vector<int> warm_up(const ScheduleShape& shape);

// Schedules for stages that are folded onto devices (folded_generators.cpp).
std::string looped_misfit(const ScheduleShape& shape);
std::string v_misfit(const ScheduleShape& shape);
Schedule interleaved_1f1b(const ScheduleRequest& request);
Schedule zb_v(const ScheduleRequest& request);
Schedule dualpipe_v(const ScheduleRequest& request);

/// F alone, each as soon as it can, micro-batches in their order: what every schedule is for forward-only shapes.
Schedule inference(const ScheduleRequest& request);

Schedule auto_schedule(const ScheduleRequest& request);

}  // namespace lenet_flow

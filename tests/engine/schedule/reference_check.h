#pragma once

#include "engine/schedule/schedule.h"

namespace lenet_flow::schedule_cases {

/// Whether a schedule is right, decided another way than check_schedule() does: the whole graph of what waits for what
/// over three batches, the second a short one, written straight from the rules in schedule.h, and Kahn's algorithm to
/// see whether it has a cycle.
bool valid_by_reference(const Schedule& schedule, const ScheduleShape& shape, const ScheduleLimits& limits);

}  // namespace lenet_flow::schedule_cases

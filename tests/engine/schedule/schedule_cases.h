#pragma once

#include <random>
#include <string>

#include "engine/schedule/simulate.h"

namespace lenet_flow::schedule_cases {

/// Stages one after another, a device each.
ScheduleShape chain(int stages, int micro_batches);
/// A chain of `per_device` stages a device, stage k on device k mod `devices`.
ScheduleShape looped_chain(int devices, int per_device, int micro_batches);
/// A chain of two stages a device, down the devices and back up.
ScheduleShape v_chain(int devices, int micro_batches);

/// Any DAG of 1 to 8 stages, any placement on 1 to 4 devices, 1 to 3 replicas, 1 to 12 micro-batches.
ScheduleShape random_shape(std::mt19937& random);
/// The links, replicas and micro-batches by chance, the placement looped or folded into a V.
ScheduleShape random_folded_shape(std::mt19937& random);
/// Costs and transfers from 0 to 10, of which many are equal and some 0.
ActionCosts random_costs(const ScheduleShape& shape, std::mt19937& random);

/// For a failing case: everything that it takes to make it again.
std::string describe(const ScheduleShape& shape);

inline Schedule generate(const std::string& name, const ScheduleShape& shape) {
  return find_schedule_type(name)->generate({shape, ActionCosts::equal(shape), {}});
}
inline Simulation play_equal(const Schedule& schedule, const ScheduleShape& shape, int batches = 1) {
  return simulate(schedule, shape, ActionCosts::equal(shape), unbounded(), batches);
}

}  // namespace lenet_flow::schedule_cases

#pragma once

#include <cstdint>

#include "engine/graph/network.h"
#include "engine/pipeline/device_set.h"
#include "engine/schedule/schedule.h"

namespace lenet_flow {

/// Costs that are in proportion to the layers' FLOPs, in seconds at 10 GFLOP/s a core; transfers take nothing.
ActionCosts estimated_costs(const Network& network, const DeviceSet& devices, const ScheduleShape& shape,
                            std::int64_t micro_batch);

/// The same costs, with those that the graph file gives in their place.
ActionCosts with_given_costs(ActionCosts costs, const Network& network, const ScheduleShape& shape);

}  // namespace lenet_flow

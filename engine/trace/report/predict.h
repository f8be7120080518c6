#pragma once

#include "engine/schedule/simulate.h"
#include "engine/trace/keeper.h"
#include "engine/trace/record.h"

namespace lenet_flow {

/// What the stages' actions of a pass took on average, and the links' transfers, in seconds: for simulate(). A stage
/// that ran B has its time as input_gradients and none as parameter_gradients.
ActionCosts measured_costs(const TracedPipeline& pipeline, const KeptPass& pass);

}  // namespace lenet_flow

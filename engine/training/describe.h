#pragma once

#include "engine/training/session.h"

namespace lenet_flow {

/// Fills in what a result says of the graph, the data, the devices, the pipeline, the stages and memory. `images` and
/// `seconds` are there already; the warnings are those so far.
void describe(Session& session, Pipeline& pipeline, RunResult& result);

/// What schedule `auto` of a plan is made for, one a stage, and where each is from.
std::vector<StageCostsResult> cost_results(const Network& network, const PipelinePlan& plan);

}  // namespace lenet_flow

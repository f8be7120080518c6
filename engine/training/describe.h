#pragma once

#include "engine/training/session.h"

namespace lenet_flow {

/// Fills in what a result says of the graph, the data, the devices, the pipeline, the stages and memory. `images` and
/// `seconds` are there already; the warnings are those so far.
void describe(Session& session, Pipeline& pipeline, RunResult& result);

}  // namespace lenet_flow

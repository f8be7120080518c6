#pragma once

#include <string>

#include "engine/training/session.h"
#include "tools/terminal.h"

// What `check` says about a network, as tables.

namespace lenet_flow {

/// Layer, type, device, output shape, parameters, FLOPs of one image forward and backward, bytes of one image's output.
std::string layer_table(const Network& network, const Terminal& terminal);
/// Stage, device, layers, parameters, FLOPs.
std::string stage_table(const Network& network, bool whole_lists, const Terminal& terminal);
/// Link, what crosses it, bytes of a micro-batch. Empty text where there is none between stages.
std::string link_table(const Network& network, const PipelinePlan& plan, std::int64_t micro_batch,
                       const Terminal& terminal);
/// Bytes of each device by what they are for.
std::string memory_table(const DeviceSet& devices, const PipelinePlan& plan, const Terminal& terminal);
/// Bytes of each stage that recomputes, and what they would be if it did not. Empty text where none does.
std::string recompute_table(const Network& network, const PipelinePlan& plan, const Terminal& terminal);

}  // namespace lenet_flow

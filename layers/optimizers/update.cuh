#pragma once

#include <array>

#include "devices/cuda/launch.cuh"
#include "layers/optimizer.h"

namespace lenet_flow {

/// One parameter of a fused update.
struct UpdateEntry {
  float* parameter;
  const float* gradient;
  float* states[2];  ///< null where the optimizer has fewer
  std::int64_t elements;
};

/// As many parameters as go well into a launch's 4 KiB of arguments: those of a stage of most networks.
constexpr std::size_t fused_parameters = 48;
using UpdateTable = std::array<UpdateEntry, fused_parameters>;

/// A row of blocks a parameter. Rule has __device__ void operator()(const UpdateEntry& at, std::int64_t i) const.
template <typename Rule>
__global__ void fused_update(Rule rule, UpdateTable table) {
  const UpdateEntry& at = table[blockIdx.y];
  for_each_element(at.elements, [&](std::int64_t i) { rule(at, i); });
}

/// The CUDA code of an optimizer: all parameters in one launch, or in one for every 48.
template <typename Rule>
void update_all_cuda(std::span<const UpdateCall> calls, const char* name, const Rule& rule) {
  while (!calls.empty()) {
    const std::span<const UpdateCall> some = calls.first(std::min(calls.size(), fused_parameters));
    calls = calls.subspan(some.size());
    UpdateTable table{};
    std::int64_t longest = 0;
    for (std::size_t i = 0; i < some.size(); ++i) {
      const UpdateCall& call = some[i];
      table[i] = {call.parameter.data, call.gradient.data, {}, call.parameter.elements};
      for (std::size_t state = 0; state < call.states.size(); ++state) table[i].states[state] = call.states[state].data;
      longest = std::max(longest, call.parameter.elements);
    }
    LaunchShape shape = over_elements(longest);
    shape.rows = static_cast<unsigned>(some.size());
    launch(*some[0].queue, name, shape, fused_update<Rule>, rule, table);
  }
}

}  // namespace lenet_flow

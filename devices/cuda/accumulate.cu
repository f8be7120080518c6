#include "devices/cuda/accumulate.h"

#include "devices/cuda/launch.cuh"

namespace lenet_flow {
namespace {

__global__ void accumulate(const float* from, float* to, std::int64_t floats) {
  for_each_element(floats, [&](std::int64_t i) { to[i] += from[i]; });
}

}  // namespace

void accumulate_on_gpu(const CudaQueue& queue, const float* from, float* to, std::int64_t floats, bool first) {
  if (floats == 0) return;
  if (first) return copy_floats(queue, "accumulate, first", from, to, floats);
  launch(queue, "accumulate", over_elements(floats), accumulate, from, to, floats);
}

}  // namespace lenet_flow

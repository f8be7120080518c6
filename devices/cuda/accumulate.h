#pragma once

#include <cstdint>

#include "devices/cuda/cuda_queue.h"

namespace lenet_flow {

/// What Device::accumulate() says, as work put on a queue.
void accumulate_on_gpu(const CudaQueue& queue, const float* from, float* to, std::int64_t floats, bool first);

}  // namespace lenet_flow

#pragma once

#include <cstdint>

#include "devices/cuda/cuda_queue.h"

namespace lenet_flow {

/// What AsyncDevice::stamp() says, as work put on a queue.
void stamp_on_gpu(const CudaQueue& queue, std::int64_t* at);

}  // namespace lenet_flow

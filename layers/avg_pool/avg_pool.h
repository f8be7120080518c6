#pragma once

#include <memory>

#include "devices/cuda_code.h"
#include "layers/kernel.h"
#include "layers/window.h"

namespace lenet_flow {

LENET_FLOW_CUDA_CODE std::unique_ptr<Kernel> make_avg_pool_cuda(const Shape& input, const Window& window);

}  // namespace lenet_flow

#pragma once

#include <memory>

#include "devices/cuda_code.h"
#include "layers/kernel.h"

namespace lenet_flow {

LENET_FLOW_CUDA_CODE std::unique_ptr<Kernel> make_flatten_cuda();

}  // namespace lenet_flow

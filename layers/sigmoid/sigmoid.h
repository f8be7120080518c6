#pragma once

#include <memory>

#include "devices/cuda_code.h"
#include "layers/kernel.h"

namespace lenet_flow {

LENET_FLOW_CUDA_CODE std::unique_ptr<Kernel> make_sigmoid_cuda(bool folded_into_loss);

}  // namespace lenet_flow

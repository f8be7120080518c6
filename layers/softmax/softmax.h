#pragma once

#include <memory>

#include "devices/cuda_code.h"
#include "devices/shape.h"
#include "layers/kernel.h"

namespace lenet_flow {

LENET_FLOW_CUDA_CODE std::unique_ptr<Kernel> make_softmax_cuda(const Shape& shape);

}  // namespace lenet_flow

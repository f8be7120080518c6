#pragma once

#include <cstdint>
#include <memory>

#include "devices/cuda_code.h"
#include "layers/kernel.h"

namespace lenet_flow {

LENET_FLOW_CUDA_CODE std::unique_ptr<Kernel> make_dense_cuda(std::int64_t inputs, std::int64_t outputs, bool bias);

}  // namespace lenet_flow

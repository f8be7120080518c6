#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "devices/cuda_code.h"
#include "layers/kernel.h"

namespace lenet_flow {

LENET_FLOW_CUDA_CODE std::unique_ptr<Kernel> make_dropout_cuda(std::string_view name, double p, std::int64_t elements);

}  // namespace lenet_flow

#pragma once

#include <memory>

#include "devices/cuda_code.h"
#include "layers/kernel.h"

namespace lenet_flow {

/// Microseconds that each action takes for one image: of a core, or of a GPU.
struct BusyTimes {
  double forward = 0, input_gradients = 0, parameter_gradients = 0;
};

LENET_FLOW_CUDA_CODE std::unique_ptr<Kernel> make_busy_cuda(const BusyTimes& times);

}  // namespace lenet_flow

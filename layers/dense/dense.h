#pragma once

#include <cstdint>
#include <memory>

#include "devices/cuda_code.h"
#include "layers/fusion_part.h"
#include "layers/kernel.h"

namespace lenet_flow {

/// A dense layer and its activation.
LENET_FLOW_CUDA_CODE std::unique_ptr<Kernel> make_dense_cuda(const DensePart& dense, const ActivationPart& activation);

}  // namespace lenet_flow

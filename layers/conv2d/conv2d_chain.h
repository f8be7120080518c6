#pragma once

#include <memory>

#include "devices/cuda_code.h"
#include "layers/conv2d/conv2d.h"
#include "layers/fusion_part.h"

namespace lenet_flow {

/// A convolution, its activation and its pool as one kernel; null where the convolution has groups, a stride or a
/// dilation, a kernel that is not 3 or 5 columns wide, a pool that is not of 2 x 2 or 3 x 3 without padding and
/// overlap, or too large planes.
LENET_FLOW_CUDA_CODE std::unique_ptr<Kernel> make_conv2d_chain_cuda(const Convolution& convolution,
                                                                    const ActivationPart& activation,
                                                                    const PoolPart& pool);

}  // namespace lenet_flow

#pragma once

#include <memory>

#include "devices/cuda_code.h"
#include "layers/kernel.h"
#include "layers/window.h"

namespace lenet_flow {

/// Everything that a convolution's kernel must know. Output channel o belongs to group o / group_outputs() and reads
/// the input channels of that group alone: y[o, p] = bias[o] + sum over (c, ky, kx) of weight[o, c, ky, kx] * x[c,
/// tap]. It is a cross-correlation, as everywhere in this field.
struct Convolution {
  Shape input, output;
  Window window;
  std::int64_t groups = 1;
  bool bias = true;

  std::int64_t group_inputs() const { return input.channels / groups; }
  std::int64_t group_outputs() const { return output.channels / groups; }
  /// Products summed into one output element.
  std::int64_t depth() const { return group_inputs() * window.taps(); }
  /// Output positions of one image and channel.
  std::int64_t positions() const { return output.height * output.width; }
};

std::unique_ptr<Kernel> make_conv2d_cpu(const Convolution& convolution);
LENET_FLOW_CUDA_CODE std::unique_ptr<Kernel> make_conv2d_cuda(const Convolution& convolution);

}  // namespace lenet_flow

#pragma once

#include <cstdint>

#include "layers/layer.h"

namespace lenet_flow {

/// A layer whose output has the shape of its one input, and whose work is a fixed number of operations an element
/// (an exponential counts as one).
class ElementwiseLayer : public Layer {
 public:
  ElementwiseLayer(double forward_flops, double gradient_flops)
      : forward_flops_(forward_flops), gradient_flops_(gradient_flops) {}

  Shape output_shape(std::span<const Shape> inputs) const override { return inputs[0]; }
  Flops flops(std::span<const Shape> inputs) const override {
    const auto elements = static_cast<double>(inputs[0].elements());
    return {.forward = forward_flops_ * elements, .input_gradients = gradient_flops_ * elements};
  }

 private:
  double forward_flops_, gradient_flops_;
};

/// CPU kernel of a layer whose output element depends on the input element at the same place only. A layer gives two
/// loops over arrays; which part of the micro-batch they get may differ from run to run.
class ElementwiseKernel : public Kernel {
 public:
  void forward(const KernelCall& call) final;
  void input_gradients(const KernelCall& call) final;

 protected:
  /// What gradients() may read and writes, `count` elements each.
  struct Elements {
    const float* inputs;
    const float* outputs;
    const float* output_gradients;
    float* input_gradients;
    std::int64_t count;
  };
  virtual void outputs(const float* inputs, float* outputs, std::int64_t count) const = 0;
  virtual void gradients(Elements elements) const = 0;
};

}  // namespace lenet_flow

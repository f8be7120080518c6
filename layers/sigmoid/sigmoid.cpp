#include "layers/sigmoid/sigmoid.h"

#include <algorithm>

#include "layers/cpu/vector_math.h"
#include "layers/elementwise.h"
#include "layers/registry.h"

namespace lenet_flow {
namespace {

/// y = 1 / (1 + e^-x), dy/dx = y (1 - y).
class SigmoidKernel final : public ElementwiseKernel {
 protected:
  void outputs(const float* inputs, float* outputs, std::int64_t count) const override {
    vector_math::sigmoid(inputs, outputs, count);
  }
  void gradients(Elements at) const override {
    for (std::int64_t i = 0; i < at.count; ++i)
      at.input_gradients[i] = at.output_gradients[i] * (at.outputs[i] * (1.0f - at.outputs[i]));
  }
};

/// A sigmoid whose mathematics the loss does: logit in, logit out.
class FoldedSigmoidKernel final : public ElementwiseKernel {
 protected:
  void outputs(const float* inputs, float* outputs, std::int64_t count) const override {
    std::copy_n(inputs, count, outputs);
  }
  void gradients(Elements at) const override { std::copy_n(at.output_gradients, at.count, at.input_gradients); }
};

class Sigmoid final : public ElementwiseLayer {
 public:
  Sigmoid() : ElementwiseLayer(3, 3) {}

  bool fold_into_loss(std::string_view loss) override { return folded_ = loss == "binary_cross_entropy"; }

  Flops flops(std::span<const Shape> inputs) const override {
    return folded_ ? Flops{} : ElementwiseLayer::flops(inputs);
  }

  FusionPart fusion_part(const Shape&, const Shape&) const override {
    return ActivationPart{.kind = folded_ ? ActivationPart::Kind::identity : ActivationPart::Kind::sigmoid};
  }

  std::unique_ptr<Kernel> make_kernel(DeviceKind kind, std::string_view, std::span<const Shape>,
                                      const Shape&) const override {
    if (kind == DeviceKind::cuda) return make_with_cuda(make_sigmoid_cuda, folded_);
    if (folded_) return std::make_unique<FoldedSigmoidKernel>();
    return std::make_unique<SigmoidKernel>();
  }

 private:
  bool folded_ = false;
};

}  // namespace

LayerType sigmoid_type() {
  return {.name = "sigmoid",
          .help = "1 / (1 + exp(-x)); right before binary_cross_entropy it becomes part of the loss",
          .attributes = {},
          .make = [](const Attributes&) { return std::make_unique<Sigmoid>(); }};
}

}  // namespace lenet_flow

#include "layers/relu/relu.h"

#include "layers/elementwise.h"
#include "layers/registry.h"

namespace lenet_flow {
namespace {

/// Compares so that NaN goes through: a network that went wrong must not look sound behind a relu. The gradient at
/// zero is zero, as PyTorch has it.
class ReluKernel final : public ElementwiseKernel {
 protected:
  void outputs(const float* inputs, float* outputs, std::int64_t count) const override {
    for (std::int64_t i = 0; i < count; ++i) outputs[i] = inputs[i] <= 0 ? 0.0f : inputs[i];
  }
  void gradients(Elements at) const override {
    for (std::int64_t i = 0; i < at.count; ++i) {
      const float gradient = at.output_gradients[i];  // read in any case: so the loop goes into vectors
      at.input_gradients[i] = at.outputs[i] <= 0 ? 0.0f : gradient;
    }
  }
};

class Relu final : public ElementwiseLayer {
 public:
  Relu() : ElementwiseLayer(1, 1) {}

  FusionPart fusion_part(const Shape&, const Shape&) const override {
    return ActivationPart{.kind = ActivationPart::Kind::relu};
  }

  std::unique_ptr<Kernel> make_kernel(DeviceKind kind, std::string_view, std::span<const Shape>,
                                      const Shape&) const override {
    if (kind == DeviceKind::cuda) return make_with_cuda(make_relu_cuda);
    return std::make_unique<ReluKernel>();
  }
};

}  // namespace

LayerType relu_type() {
  return {.name = "relu", .help = "max(0, x)", .attributes = {}, .make = [](const Attributes&) {
            return std::make_unique<Relu>();
          }};
}

}  // namespace lenet_flow

#include "layers/tanh/tanh.h"

#include "layers/cpu/vector_math.h"
#include "layers/elementwise.h"
#include "layers/registry.h"

namespace lenet_flow {
namespace {

/// y = tanh x, dy/dx = 1 - y^2.
class TanhKernel final : public ElementwiseKernel {
 protected:
  void outputs(const float* inputs, float* outputs, std::int64_t count) const override {
    vector_math::tanh(inputs, outputs, count);
  }
  void gradients(Elements at) const override {
    for (std::int64_t i = 0; i < at.count; ++i)
      at.input_gradients[i] = at.output_gradients[i] * (1.0f - at.outputs[i] * at.outputs[i]);
  }
};

class Tanh final : public ElementwiseLayer {
 public:
  Tanh() : ElementwiseLayer(1, 3) {}

  FusionPart fusion_part(const Shape&, const Shape&) const override {
    return ActivationPart{.kind = ActivationPart::Kind::tanh};
  }

  std::unique_ptr<Kernel> make_kernel(DeviceKind kind, std::string_view, std::span<const Shape>,
                                      const Shape&) const override {
    if (kind == DeviceKind::cuda) return make_with_cuda(make_tanh_cuda);
    return std::make_unique<TanhKernel>();
  }
};

}  // namespace

LayerType tanh_type() {
  return {.name = "tanh", .help = "hyperbolic tangent", .attributes = {}, .make = [](const Attributes&) {
            return std::make_unique<Tanh>();
          }};
}

}  // namespace lenet_flow

#include "layers/gelu/gelu.h"

#include "layers/cpu/vector_math.h"
#include "layers/elementwise.h"
#include "layers/registry.h"

namespace lenet_flow {
namespace {

/// The exact function, x (1 + erf(x / sqrt 2)) / 2 (Hendrycks and Gimpel, arXiv:1606.08415), which is PyTorch's
/// default; not the approximation by tanh.
class GeluKernel final : public ElementwiseKernel {
 protected:
  void outputs(const float* inputs, float* outputs, std::int64_t count) const override {
    vector_math::gelu(inputs, outputs, count);
  }
  void gradients(Elements at) const override {
    vector_math::gelu_derivative(at.inputs, at.input_gradients, at.count);
    for (std::int64_t i = 0; i < at.count; ++i) at.input_gradients[i] *= at.output_gradients[i];
  }
};

class Gelu final : public ElementwiseLayer {
 public:
  Gelu() : ElementwiseLayer(6, 8) {}

  std::unique_ptr<Kernel> make_kernel(DeviceKind kind, std::string_view, std::span<const Shape>,
                                      const Shape&) const override {
    if (kind == DeviceKind::cuda) return make_with_cuda(make_gelu_cuda);
    return std::make_unique<GeluKernel>();
  }
};

}  // namespace

LayerType gelu_type() {
  return {.name = "gelu",
          .help = "x times the normal distribution function of x (the exact one, with erf)",
          .attributes = {},
          .make = [](const Attributes&) { return std::make_unique<Gelu>(); }};
}

}  // namespace lenet_flow

#include "layers/leaky_relu/leaky_relu.h"

#include "layers/elementwise.h"
#include "layers/registry.h"

namespace lenet_flow {
namespace {

/// to[i] = values[i] where inputs[i] > 0, slope values[i] elsewhere. The slope comes by value, so that no store into
/// `to` can change it and the loop goes into vectors.
void scale_unless_positive(const float* inputs, const float* values, float* to, std::int64_t count, float slope) {
  for (std::int64_t i = 0; i < count; ++i) {
    const float value = values[i];
    to[i] = inputs[i] > 0 ? value : value * slope;
  }
}

/// The gradient at zero is the slope, as PyTorch has it.
class LeakyReluKernel final : public ElementwiseKernel {
 public:
  explicit LeakyReluKernel(float slope) : slope_(slope) {}

 protected:
  void outputs(const float* inputs, float* outputs, std::int64_t count) const override {
    scale_unless_positive(inputs, inputs, outputs, count, slope_);
  }
  void gradients(Elements at) const override {
    scale_unless_positive(at.inputs, at.output_gradients, at.input_gradients, at.count, slope_);
  }

 private:
  float slope_;
};

class LeakyRelu final : public ElementwiseLayer {
 public:
  explicit LeakyRelu(double slope) : ElementwiseLayer(2, 2), slope_(static_cast<float>(slope)) {}

  FusionPart fusion_part(const Shape&, const Shape&) const override {
    if (slope_ < 0) return {};
    return ActivationPart{.kind = ActivationPart::Kind::leaky_relu, .slope = slope_};
  }

  std::unique_ptr<Kernel> make_kernel(DeviceKind kind, std::string_view, std::span<const Shape>,
                                      const Shape&) const override {
    if (kind == DeviceKind::cuda) return make_with_cuda(make_leaky_relu_cuda, slope_);
    return std::make_unique<LeakyReluKernel>(slope_);
  }

 private:
  float slope_;
};

}  // namespace

LayerType leaky_relu_type() {
  return {.name = "leaky_relu",
          .help = "x where x > 0, slope x elsewhere",
          .attributes = {{.name = "slope",
                          .kind = AttributeKind::number,
                          .help = "factor of negative inputs",
                          .default_value = 0.01,
                          .maximum = 100}},
          .make = [](const Attributes& attributes) { return std::make_unique<LeakyRelu>(attributes.number("slope")); }};
}

}  // namespace lenet_flow

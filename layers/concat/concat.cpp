#include "layers/concat/concat.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "layers/layer.h"
#include "layers/window.h"

namespace lenet_flow {
namespace {

class ConcatCpu final : public Kernel {
 public:
  void forward(const KernelCall& call) override {
    const std::int64_t all = call.output.shape.elements();
    call.cpu().parallel_for(call.images, 1, [&](std::int64_t begin, std::int64_t end, int) {
      for (std::int64_t image = begin; image < end; ++image) {
        float* to = call.output.data + image * all;
        for (const Tensor& input : call.inputs) {
          const std::int64_t part = input.shape.elements();
          to = std::copy_n(input.data + image * part, part, to);
        }
      }
    });
  }

  void input_gradients(const KernelCall& call) override {
    const std::int64_t all = call.output_gradient.shape.elements();
    call.cpu().parallel_for(call.images, 1, [&](std::int64_t begin, std::int64_t end, int) {
      for (std::int64_t image = begin; image < end; ++image) {
        const float* from = call.output_gradient.data + image * all;
        for (const Tensor& gradient : call.input_gradients) {
          const std::int64_t part = gradient.shape.elements();
          if (gradient) std::copy_n(from, part, gradient.data + image * part);
          from += part;
        }
      }
    });
  }
};

class Concat final : public Layer {
 public:
  Shape output_shape(std::span<const Shape> inputs) const override {
    Shape output = inputs[0];
    for (const Shape& input : inputs.subspan(1)) {
      if (input.height != output.height || input.width != output.width)
        throw ShapeError(fmt::format("concat takes inputs of equal rows and columns, got {}x{} and {}x{}",
                                     output.height, output.width, input.height, input.width));
      output.channels += input.channels;
      checked_shape(output);
    }
    return output;
  }

  Flops flops(std::span<const Shape>) const override { return {}; }
  double tolerance() const override { return 0; }

  std::unique_ptr<Kernel> make_kernel(DeviceKind kind, std::string_view, std::span<const Shape>,
                                      const Shape&) const override {
    if (kind == DeviceKind::cuda) return make_with_cuda(make_concat_cuda);
    return std::make_unique<ConcatCpu>();
  }
};

}  // namespace

LayerType concat_type() {
  return {.name = "concat",
          .help = "the channels of two or more inputs behind each other",
          .attributes = {},
          .minimum_inputs = 2,
          .maximum_inputs = std::numeric_limits<int>::max(),
          .make = [](const Attributes&) { return std::make_unique<Concat>(); }};
}

}  // namespace lenet_flow

#include "layers/add/add.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "layers/layer.h"

namespace lenet_flow {
namespace {

constexpr std::int64_t grain = 16384;

/// Adds the inputs in the order in which the file names them.
class AddCpu final : public Kernel {
 public:
  void forward(const KernelCall& call) override {
    call.cpu().parallel_for(call.output.elements(), grain, [&](std::int64_t begin, std::int64_t end, int) {
      const float *first = call.inputs[0].data, *second = call.inputs[1].data;
      float* to = call.output.data;
      for (std::int64_t i = begin; i < end; ++i) to[i] = first[i] + second[i];
      for (const Tensor& input : call.inputs.subspan(2))
        for (std::int64_t i = begin; i < end; ++i) to[i] += input.data[i];
    });
  }

  void input_gradients(const KernelCall& call) override {
    for (const Tensor& gradient : call.input_gradients) {
      if (!gradient) continue;
      call.cpu().parallel_for(gradient.elements(), grain, [&](std::int64_t begin, std::int64_t end, int) {
        std::copy(call.output_gradient.data + begin, call.output_gradient.data + end, gradient.data + begin);
      });
    }
  }
};

class Add final : public Layer {
 public:
  Shape output_shape(std::span<const Shape> inputs) const override {
    for (const Shape& input : inputs)
      if (input != inputs[0])
        throw ShapeError(fmt::format("add takes inputs of one shape, got {} and {}", inputs[0].text(), input.text()));
    return inputs[0];
  }

  Flops flops(std::span<const Shape> inputs) const override {
    return {static_cast<double>(inputs[0].elements()) * static_cast<double>(inputs.size() - 1), 0, 0};
  }

  std::unique_ptr<Kernel> make_kernel(DeviceKind kind, std::string_view, std::span<const Shape>,
                                      const Shape&) const override {
    if (kind == DeviceKind::cuda) return make_with_cuda(make_add_cuda);
    return std::make_unique<AddCpu>();
  }
};

}  // namespace

LayerType add_type() {
  return {.name = "add",
          .help = "the sum of two or more inputs of one shape",
          .attributes = {},
          .minimum_inputs = 2,
          .maximum_inputs = std::numeric_limits<int>::max(),
          .make = [](const Attributes&) { return std::make_unique<Add>(); }};
}

}  // namespace lenet_flow

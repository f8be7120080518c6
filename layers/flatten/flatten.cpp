#include "layers/flatten/flatten.h"

#include <algorithm>

#include "layers/layer.h"

namespace lenet_flow {
namespace {

/// On the CPU an image lies in memory as its features do: a copy.
class FlattenCpu final : public Kernel {
 public:
  void forward(const KernelCall& call) override { copy(call, call.inputs[0], call.output); }

  void input_gradients(const KernelCall& call) override {
    if (call.input_gradients[0]) copy(call, call.output_gradient, call.input_gradients[0]);
  }

 private:
  static void copy(const KernelCall& call, const Tensor& from, const Tensor& to) {
    call.cpu().parallel_for(from.elements(), 16384, [&](std::int64_t begin, std::int64_t end, int) {
      std::copy(from.data + begin, from.data + end, to.data + begin);
    });
  }
};

class Flatten final : public Layer {
 public:
  Shape output_shape(std::span<const Shape> inputs) const override { return {inputs[0].elements()}; }
  Flops flops(std::span<const Shape>) const override { return {}; }
  double tolerance() const override { return 0; }

  FusionPart fusion_part(const Shape&, const Shape&) const override { return ReshapePart{}; }

  std::unique_ptr<Kernel> make_kernel(DeviceKind kind, std::string_view, std::span<const Shape>,
                                      const Shape&) const override {
    if (kind == DeviceKind::cuda) return make_with_cuda(make_flatten_cuda);
    return std::make_unique<FlattenCpu>();
  }
};

}  // namespace

LayerType flatten_type() {
  return {.name = "flatten",
          .help = "an image as a vector of features, channel by channel and row by row",
          .attributes = {},
          .make = [](const Attributes&) { return std::make_unique<Flatten>(); }};
}

}  // namespace lenet_flow

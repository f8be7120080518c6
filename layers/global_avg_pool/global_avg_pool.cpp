#include "layers/global_avg_pool/global_avg_pool.h"

#include <algorithm>

#include "layers/cpu/fixed_sum.h"
#include "layers/layer.h"

namespace lenet_flow {
namespace {

class GlobalAvgPoolCpu final : public Kernel {
 public:
  explicit GlobalAvgPoolCpu(const Shape& input) : channels_(input.channels), plane_(input.height * input.width) {}

  void forward(const KernelCall& call) override {
    call.cpu().parallel_for(call.images * channels_, 8, [&](std::int64_t begin, std::int64_t end, int) {
      for (std::int64_t i = begin; i < end; ++i)
        call.output.data[i] =
            static_cast<float>(fixed_sum(call.inputs[0].data + i * plane_, plane_) / static_cast<double>(plane_));
    });
  }

  void input_gradients(const KernelCall& call) override {
    if (!call.input_gradients[0]) return;
    call.cpu().parallel_for(call.images * channels_, 8, [&](std::int64_t begin, std::int64_t end, int) {
      for (std::int64_t i = begin; i < end; ++i)
        std::fill_n(call.input_gradients[0].data + i * plane_, plane_,
                    call.output_gradient.data[i] / static_cast<float>(plane_));
    });
  }

 private:
  std::int64_t channels_, plane_;
};

class GlobalAvgPool final : public Layer {
 public:
  Shape output_shape(std::span<const Shape> inputs) const override { return {inputs[0].channels}; }

  Flops flops(std::span<const Shape> inputs) const override {
    const double elements = static_cast<double>(inputs[0].elements());
    return {elements, elements, 0};
  }

  std::unique_ptr<Kernel> make_kernel(DeviceKind kind, std::string_view, std::span<const Shape> inputs,
                                      const Shape&) const override {
    if (kind == DeviceKind::cuda) return make_with_cuda(make_global_avg_pool_cuda, inputs[0]);
    return std::make_unique<GlobalAvgPoolCpu>(inputs[0]);
  }
};

}  // namespace

LayerType global_avg_pool_type() {
  return {
      .name = "global_avg_pool", .help = "the mean of each channel", .attributes = {}, .make = [](const Attributes&) {
        return std::make_unique<GlobalAvgPool>();
      }};
}

}  // namespace lenet_flow

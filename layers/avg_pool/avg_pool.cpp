#include "layers/avg_pool/avg_pool.h"

#include <algorithm>

#include "layers/layer.h"
#include "layers/window.h"

namespace lenet_flow {
namespace {

/// Padding counts: every window's sum is divided by the number of its taps (PyTorch's count_include_pad, its default).
class AvgPoolCpu final : public Kernel {
 public:
  AvgPoolCpu(const Shape& input, const Shape& output, const Window& window)
      : input_(input), output_(output), window_(window), taps_(static_cast<float>(window.taps())) {}

  void forward(const KernelCall& call) override {
    call.cpu().parallel_for(call.images * input_.channels, 2, [&](std::int64_t begin, std::int64_t end, int) {
      for (std::int64_t plane = begin; plane < end; ++plane) {
        const float* from = call.inputs[0].data + plane * in_plane();
        float* to = call.output.data + plane * out_plane();
        std::fill_n(to, out_plane(), 0.0f);
        for_each_tap([&](std::int64_t in, std::int64_t out) { to[out] += from[in]; });
        for (std::int64_t i = 0; i < out_plane(); ++i) to[i] /= taps_;
      }
    });
  }

  void input_gradients(const KernelCall& call) override {
    if (!call.input_gradients[0]) return;
    call.cpu().parallel_for(call.images * input_.channels, 2, [&](std::int64_t begin, std::int64_t end, int) {
      for (std::int64_t plane = begin; plane < end; ++plane) {
        const float* from = call.output_gradient.data + plane * out_plane();
        float* to = call.input_gradients[0].data + plane * in_plane();
        std::fill_n(to, in_plane(), 0.0f);
        for_each_tap([&](std::int64_t in, std::int64_t out) { to[in] += from[out] / taps_; });
      }
    });
  }

 private:
  std::int64_t in_plane() const { return input_.height * input_.width; }
  std::int64_t out_plane() const { return output_.height * output_.width; }

  /// Calls body(element of the input plane, element of the output plane) for every tap inside of the image: output row
  /// by output row, and there tap by tap in row order.
  template <typename Body>
  void for_each_tap(Body&& body) const {
    for (std::int64_t row = 0; row < output_.height; ++row)
      for (std::int64_t y = 0; y < window_.kernel.height; ++y) {
        const std::int64_t in_row = row * window_.stride.height - window_.before.height + y;
        if (in_row < 0 || in_row >= input_.height) continue;
        for (std::int64_t x = 0; x < window_.kernel.width; ++x) {
          const PositionRange inside =
              positions_inside(x, window_.stride.width, 1, window_.before.width, input_.width, output_.width);
          const std::int64_t first = in_row * input_.width - window_.before.width + x;
          for (std::int64_t i = inside.begin; i < inside.end; ++i)
            body(first + i * window_.stride.width, row * output_.width + i);
        }
      }
  }

  Shape input_, output_;
  Window window_;
  float taps_;
};

class AvgPool final : public Layer {
 public:
  explicit AvgPool(const Attributes& attributes) : attributes_(attributes) {}

  Shape output_shape(std::span<const Shape> inputs) const override {
    const Window window = fit_pool(inputs[0], attributes_);
    return checked_shape({inputs[0].channels, window.output.height, window.output.width});
  }

  Flops flops(std::span<const Shape> inputs) const override {
    const double sums = static_cast<double>(output_shape(inputs).elements()) *
                        static_cast<double>(fit_pool(inputs[0], attributes_).taps());
    return {sums, sums, 0};
  }

  FusionPart fusion_part(const Shape& input, const Shape&) const override {
    return PoolPart{.kind = PoolPart::Kind::average, .window = fit_pool(input, attributes_)};
  }

  std::unique_ptr<Kernel> make_kernel(DeviceKind kind, std::string_view, std::span<const Shape> inputs,
                                      const Shape& output) const override {
    if (kind == DeviceKind::cuda)
      return make_with_cuda(make_avg_pool_cuda, inputs[0], fit_pool(inputs[0], attributes_));
    return std::make_unique<AvgPoolCpu>(inputs[0], output, fit_pool(inputs[0], attributes_));
  }

 private:
  Attributes attributes_;
};

}  // namespace

LayerType avg_pool_type() {
  return {.name = "avg_pool",
          .help = "the mean of each window; padding counts as zeros",
          .attributes = {kernel_attribute(), pool_stride_attribute(), pool_padding_attribute()},
          .make = [](const Attributes& attributes) { return std::make_unique<AvgPool>(attributes); }};
}

}  // namespace lenet_flow

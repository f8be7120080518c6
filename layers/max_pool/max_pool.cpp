#include "layers/max_pool/max_pool.h"

#include <algorithm>
#include <limits>
#include <vector>

#include "layers/layer.h"
#include "layers/window.h"

namespace lenet_flow {
namespace {

/// Saved: for every output element the place (row * width + column) of its maximum in the input plane, as int32.
class MaxPoolCpu final : public Kernel {
 public:
  MaxPoolCpu(const Shape& input, const Shape& output, const Window& window)
      : input_(input), output_(output), window_(window) {
    for (std::int64_t x = 0; x < window.kernel.width; ++x)
      inside_.push_back(positions_inside(x, window.stride.width, 1, window.before.width, input.width, output.width));
  }

  std::size_t saved_bytes(std::int64_t images) const override {
    return static_cast<std::size_t>(images * output_.elements()) * sizeof(std::int32_t);
  }

  void forward(const KernelCall& call) override {
    auto* places = reinterpret_cast<std::int32_t*>(call.saved.data());
    call.cpu().parallel_for(call.images * input_.channels, 2, [&](std::int64_t begin, std::int64_t end, int) {
      for (std::int64_t plane = begin; plane < end; ++plane)
        pool_plane(call.inputs[0].data + plane * in_plane(), call.output.data + plane * out_plane(),
                   places + plane * out_plane());
    });
  }

  void input_gradients(const KernelCall& call) override {
    if (!call.input_gradients[0]) return;
    const auto* places = reinterpret_cast<const std::int32_t*>(call.saved.data());
    call.cpu().parallel_for(call.images * input_.channels, 2, [&](std::int64_t begin, std::int64_t end, int) {
      for (std::int64_t plane = begin; plane < end; ++plane) {
        const float* from = call.output_gradient.data + plane * out_plane();
        const std::int32_t* place = places + plane * out_plane();
        float* to = call.input_gradients[0].data + plane * in_plane();
        std::fill_n(to, in_plane(), 0.0f);
        for (std::int64_t i = 0; i < out_plane(); ++i) to[place[i]] += from[i];
      }
    });
  }

 private:
  std::int64_t in_plane() const { return input_.height * input_.width; }
  std::int64_t out_plane() const { return output_.height * output_.width; }

  /// Row by row, and in a row tap by tap in row order, so that a later tap must be greater to win. A NaN wins always:
  /// it must not vanish here.
  void pool_plane(const float* from, float* to, std::int32_t* places) const {
    for (std::int64_t row = 0; row < output_.height; ++row, to += output_.width, places += output_.width) {
      std::fill_n(to, output_.width, -std::numeric_limits<float>::infinity());
      std::fill_n(places, output_.width, -1);
      for (std::int64_t y = 0; y < window_.kernel.height; ++y) {
        const std::int64_t in_row = row * window_.stride.height - window_.before.height + y;
        if (in_row < 0 || in_row >= input_.height) continue;
        for (std::int64_t x = 0; x < window_.kernel.width; ++x) {
          take_tap(from, in_row * input_.width - window_.before.width + x, inside_[static_cast<std::size_t>(x)], to,
                   places);
        }
      }
    }
  }

  void take_tap(const float* from, std::int64_t offset, PositionRange inside, float* to, std::int32_t* places) const {
    for (std::int64_t i = inside.begin; i < inside.end; ++i) {
      const std::int64_t place = offset + i * window_.stride.width;
      const float value = from[place];
      const bool wins = value > to[i] || value != value || places[i] < 0;
      to[i] = wins ? value : to[i];
      places[i] = wins ? static_cast<std::int32_t>(place) : places[i];
    }
  }

  Shape input_, output_;
  Window window_;
  std::vector<PositionRange> inside_;  ///< for each column of the kernel, the outputs whose tap lies in the image
};

class MaxPool final : public Layer {
 public:
  explicit MaxPool(const Attributes& attributes) : attributes_(attributes) {}

  Shape output_shape(std::span<const Shape> inputs) const override {
    const Window window = fit_pool(inputs[0], attributes_);
    return checked_shape({inputs[0].channels, window.output.height, window.output.width});
  }

  Flops flops(std::span<const Shape> inputs) const override {
    const double outputs = static_cast<double>(output_shape(inputs).elements());
    return {outputs * static_cast<double>(fit_pool(inputs[0], attributes_).taps()), outputs, 0};
  }

  FusionPart fusion_part(const Shape& input, const Shape&) const override {
    return PoolPart{.kind = PoolPart::Kind::maximum, .window = fit_pool(input, attributes_)};
  }

  std::unique_ptr<Kernel> make_kernel(DeviceKind kind, std::string_view, std::span<const Shape> inputs,
                                      const Shape& output) const override {
    if (kind == DeviceKind::cuda)
      return make_with_cuda(make_max_pool_cuda, inputs[0], output, fit_pool(inputs[0], attributes_));
    return std::make_unique<MaxPoolCpu>(inputs[0], output, fit_pool(inputs[0], attributes_));
  }

 private:
  Attributes attributes_;
};

}  // namespace

LayerType max_pool_type() {
  return {.name = "max_pool",
          .help = "the greatest number of each window; of equal ones, the first in row order",
          .attributes = {kernel_attribute(), pool_stride_attribute(), pool_padding_attribute()},
          .make = [](const Attributes& attributes) { return std::make_unique<MaxPool>(attributes); }};
}

}  // namespace lenet_flow

#include "layers/softmax/softmax.h"

#include <algorithm>

#include "layers/cpu/vector_math.h"
#include "layers/elementwise.h"
#include "layers/registry.h"

namespace lenet_flow {
namespace {

/// y_c = e^(x_c - max x) / sum over the channels, at every row and column by itself; dx_c = y_c (dy_c - sum dy y).
/// Sums run over the channels in their order, in double precision. Absolute error below 2e-7.
class SoftmaxKernel final : public Kernel {
 public:
  explicit SoftmaxKernel(const Shape& shape) : channels_(shape.channels), positions_(shape.height * shape.width) {}

  /// For every core a double a position: a maximum, then a sum.
  std::size_t workspace_bytes(std::int64_t, int cores) const override {
    return static_cast<std::size_t>(cores * positions_) * sizeof(double);
  }

  void forward(const KernelCall& call) override {
    call.cpu().parallel_for(call.images, grain(), [&](std::int64_t begin, std::int64_t end, int worker) {
      for (std::int64_t image = begin; image < end; ++image)
        forward_image(call.inputs[0].data + image * elements(), call.output.data + image * elements(),
                      scratch(call, worker));
    });
  }

  void input_gradients(const KernelCall& call) override {
    if (!call.input_gradients[0]) return;
    call.cpu().parallel_for(call.images, grain(), [&](std::int64_t begin, std::int64_t end, int worker) {
      for (std::int64_t image = begin; image < end; ++image) {
        const std::int64_t first = image * elements();
        backward_image(call.output.data + first, call.output_gradient.data + first,
                       call.input_gradients[0].data + first, scratch(call, worker));
      }
    });
  }

 private:
  std::int64_t elements() const { return channels_ * positions_; }
  std::int64_t grain() const { return std::max<std::int64_t>(1, 2048 / elements()); }
  double* scratch(const KernelCall& call, int worker) const {
    return reinterpret_cast<double*>(call.workspace.data()) + worker * positions_;
  }

  /// Calls body(element, position) channel by channel.
  template <typename Body>
  void for_each(Body body) const {
    for (std::int64_t c = 0, i = 0; c < channels_; ++c)
      for (std::int64_t p = 0; p < positions_; ++p, ++i) body(i, p);
  }

  /// NaN passes by the maximum but not by the sum: all channels of its position become NaN.
  void forward_image(const float* x, float* y, double* at) const {
    std::copy_n(x, positions_, at);
    for_each([&](std::int64_t i, std::int64_t p) { at[p] = x[i] > at[p] ? x[i] : at[p]; });
    for_each([&](std::int64_t i, std::int64_t p) { y[i] = static_cast<float>(x[i] - at[p]); });
    vector_math::exp(y, y, elements());
    std::fill_n(at, positions_, 0.0);
    for_each([&](std::int64_t i, std::int64_t p) { at[p] += y[i]; });
    for_each([&](std::int64_t i, std::int64_t p) { y[i] = static_cast<float>(y[i] / at[p]); });
  }

  void backward_image(const float* y, const float* dy, float* dx, double* at) const {
    std::fill_n(at, positions_, 0.0);
    for_each([&](std::int64_t i, std::int64_t p) { at[p] += static_cast<double>(dy[i]) * y[i]; });
    for_each([&](std::int64_t i, std::int64_t p) { dx[i] = static_cast<float>(y[i] * (dy[i] - at[p])); });
  }

  std::int64_t channels_, positions_;
};

class Softmax final : public ElementwiseLayer {
 public:
  Softmax() : ElementwiseLayer(5, 4) {}

  std::unique_ptr<Kernel> make_kernel(DeviceKind kind, std::string_view, std::span<const Shape>,
                                      const Shape& output) const override {
    if (kind == DeviceKind::cuda) return make_with_cuda(make_softmax_cuda, output);
    return std::make_unique<SoftmaxKernel>(output);
  }
};

}  // namespace

LayerType softmax_type() {
  return {.name = "softmax",
          .help = "exponentials over the channels, scaled to sum to 1 at every row and column",
          .attributes = {},
          .make = [](const Attributes&) { return std::make_unique<Softmax>(); }};
}

}  // namespace lenet_flow

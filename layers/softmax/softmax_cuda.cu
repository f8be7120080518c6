#include "devices/cuda/launch.cuh"
#include "layers/softmax/softmax.h"

namespace lenet_flow {
namespace {

/// An image's channels and its rows times columns.
struct SoftmaxSizes {
  std::int64_t channels, positions;

  /// The first channel's element of the `i`-th (image, position).
  __device__ std::int64_t first(std::int64_t i) const { return i / positions * channels * positions + i % positions; }
};

/// A thread an image and position; sums run over the channels in their order. NaN passes by the maximum but not by the
/// sum: all channels of its position become NaN.
__global__ void softmax_forward(SoftmaxSizes sizes, const float* inputs, float* outputs, std::int64_t count) {
  for_each_element(count, [&](std::int64_t i) {
    const float* x = inputs + sizes.first(i);
    float* y = outputs + sizes.first(i);
    const std::int64_t end = sizes.channels * sizes.positions;
    float largest = x[0], sum = 0;
    for (std::int64_t c = 0; c < end; c += sizes.positions) largest = x[c] > largest ? x[c] : largest;
    for (std::int64_t c = 0; c < end; c += sizes.positions) sum += y[c] = expf(x[c] - largest);
    for (std::int64_t c = 0; c < end; c += sizes.positions) y[c] /= sum;
  });
}

/// dx_c = y_c (dy_c - sum dy y).
__global__ void softmax_gradient(SoftmaxSizes sizes, const float* outputs, const float* output_gradients,
                                 float* input_gradients, std::int64_t count) {
  for_each_element(count, [&](std::int64_t i) {
    const float *y = outputs + sizes.first(i), *dy = output_gradients + sizes.first(i);
    float* dx = input_gradients + sizes.first(i);
    const std::int64_t end = sizes.channels * sizes.positions;
    float sum = 0;
    for (std::int64_t c = 0; c < end; c += sizes.positions) sum = fmaf(dy[c], y[c], sum);
    for (std::int64_t c = 0; c < end; c += sizes.positions) dx[c] = y[c] * (dy[c] - sum);
  });
}

class SoftmaxCuda final : public Kernel {
 public:
  explicit SoftmaxCuda(const Shape& shape) : sizes_{shape.channels, shape.height * shape.width} {}

  void forward(const KernelCall& call) override {
    const std::int64_t count = call.images * sizes_.positions;
    launch(*call.queue, "softmax forward", over_elements(count), softmax_forward, sizes_, call.inputs[0].data,
           call.output.data, count);
  }

  void input_gradients(const KernelCall& call) override {
    if (!call.input_gradients[0]) return;
    const std::int64_t count = call.images * sizes_.positions;
    launch(*call.queue, "softmax I", over_elements(count), softmax_gradient, sizes_, call.output.data,
           call.output_gradient.data, call.input_gradients[0].data, count);
  }

 private:
  SoftmaxSizes sizes_;
};

}  // namespace

std::unique_ptr<Kernel> make_softmax_cuda(const Shape& shape) { return std::make_unique<SoftmaxCuda>(shape); }

}  // namespace lenet_flow

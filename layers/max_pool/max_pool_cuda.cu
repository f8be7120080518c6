#include <limits>

#include "devices/cuda/launch.cuh"
#include "layers/cuda/window.cuh"
#include "layers/max_pool/max_pool.h"

namespace lenet_flow {
namespace {

/// A thread an output element. Taps come in row order, so that a later one must be greater to win; a NaN wins always.
/// places: where each maximum lies in its input plane.
__global__ void max_pool_forward(WindowAxes window, const float* inputs, float* outputs, std::int32_t* places,
                                 std::int64_t count) {
  for_each_element(count, [&](std::int64_t i) {
    const float* x = inputs + i / window.out_plane() * window.in_plane();
    const int position = static_cast<int>(i % window.out_plane());
    const int row = position / window.columns.output, column = position % window.columns.output;
    float largest = -std::numeric_limits<float>::infinity();
    std::int32_t place = -1;
    for (int tap_row = 0; tap_row < window.rows.kernel; ++tap_row) {
      const int in_row = window.rows.element(row, tap_row);
      if (!window.rows.inside(in_row)) continue;
      for (int tap_column = 0; tap_column < window.columns.kernel; ++tap_column) {
        const int in_column = window.columns.element(column, tap_column);
        if (!window.columns.inside(in_column)) continue;
        const std::int32_t at = in_row * window.columns.input + in_column;
        if (x[at] > largest || x[at] != x[at] || place < 0) {
          largest = x[at];
          place = at;
        }
      }
    }
    outputs[i] = largest;
    places[i] = place;
  });
}

/// A thread an input element: the gradients of those windows whose maximum it is, in row order of their taps.
__global__ void max_pool_gradient(WindowAxes window, const float* output_gradients, const std::int32_t* places,
                                  float* input_gradients, std::int64_t count) {
  for_each_element(count, [&](std::int64_t i) {
    const std::int64_t plane = i / window.in_plane() * window.out_plane();
    const auto place = static_cast<std::int32_t>(i % window.in_plane());
    const int in_row = place / window.columns.input, in_column = place % window.columns.input;
    float sum = 0;
    for (int tap_row = 0; tap_row < window.rows.kernel; ++tap_row) {
      const int row = window.rows.position(in_row, tap_row);
      if (row < 0) continue;
      for (int tap_column = 0; tap_column < window.columns.kernel; ++tap_column) {
        const int column = window.columns.position(in_column, tap_column);
        if (column < 0) continue;
        const std::int64_t output = plane + std::int64_t{row} * window.columns.output + column;
        if (places[output] == place) sum += output_gradients[output];
      }
    }
    input_gradients[i] = sum;
  });
}

/// Saved: for every output element the place (row * width + column) of its maximum in the input plane, as int32.
class MaxPoolCuda final : public Kernel {
 public:
  MaxPoolCuda(const Shape& input, const Shape& output, const Window& window)
      : output_(output), window_(input, window) {}

  std::size_t saved_bytes(std::int64_t images) const override {
    return static_cast<std::size_t>(images * output_.elements()) * sizeof(std::int32_t);
  }

  void forward(const KernelCall& call) override {
    const std::int64_t count = call.output.elements();
    launch(*call.queue, "max_pool forward", over_elements(count), max_pool_forward, window_, call.inputs[0].data,
           call.output.data, reinterpret_cast<std::int32_t*>(call.saved.data()), count);
  }

  void input_gradients(const KernelCall& call) override {
    if (!call.input_gradients[0]) return;
    const std::int64_t count = call.input_gradients[0].elements();
    launch(*call.queue, "max_pool I", over_elements(count), max_pool_gradient, window_, call.output_gradient.data,
           reinterpret_cast<const std::int32_t*>(call.saved.data()), call.input_gradients[0].data, count);
  }

 private:
  Shape output_;
  WindowAxes window_;
};

}  // namespace

std::unique_ptr<Kernel> make_max_pool_cuda(const Shape& input, const Shape& output, const Window& window) {
  return std::make_unique<MaxPoolCuda>(input, output, window);
}

}  // namespace lenet_flow

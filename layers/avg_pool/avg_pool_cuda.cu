#include "devices/cuda/launch.cuh"
#include "layers/avg_pool/avg_pool.h"
#include "layers/cuda/window.cuh"

namespace lenet_flow {
namespace {

/// A thread an output element. Padding counts: a window's sum is divided by the number of its taps.
__global__ void avg_pool_forward(WindowAxes window, const float* inputs, float* outputs, std::int64_t count) {
  for_each_element(count, [&](std::int64_t i) {
    const float* x = inputs + i / window.out_plane() * window.in_plane();
    const int position = static_cast<int>(i % window.out_plane());
    const int row = position / window.columns.output, column = position % window.columns.output;
    float sum = 0;
    for (int tap_row = 0; tap_row < window.rows.kernel; ++tap_row) {
      const int in_row = window.rows.element(row, tap_row);
      if (!window.rows.inside(in_row)) continue;
      for (int tap_column = 0; tap_column < window.columns.kernel; ++tap_column) {
        const int in_column = window.columns.element(column, tap_column);
        if (window.columns.inside(in_column)) sum += x[std::int64_t{in_row} * window.columns.input + in_column];
      }
    }
    outputs[i] = sum / (static_cast<float>(window.rows.kernel) * static_cast<float>(window.columns.kernel));
  });
}

/// A thread an input element: its share of every window that it is in, in row order of the taps.
__global__ void avg_pool_gradient(WindowAxes window, const float* output_gradients, float* input_gradients,
                                  std::int64_t count) {
  for_each_element(count, [&](std::int64_t i) {
    const float* dy = output_gradients + i / window.in_plane() * window.out_plane();
    const int place = static_cast<int>(i % window.in_plane());
    const int in_row = place / window.columns.input, in_column = place % window.columns.input;
    const float taps = static_cast<float>(window.rows.kernel) * static_cast<float>(window.columns.kernel);
    float sum = 0;
    for (int tap_row = 0; tap_row < window.rows.kernel; ++tap_row) {
      const int row = window.rows.position(in_row, tap_row);
      if (row < 0) continue;
      for (int tap_column = 0; tap_column < window.columns.kernel; ++tap_column) {
        const int column = window.columns.position(in_column, tap_column);
        if (column >= 0) sum += dy[std::int64_t{row} * window.columns.output + column] / taps;
      }
    }
    input_gradients[i] = sum;
  });
}

class AvgPoolCuda final : public Kernel {
 public:
  AvgPoolCuda(const Shape& input, const Window& window) : window_(input, window) {}

  void forward(const KernelCall& call) override {
    const std::int64_t count = call.output.elements();
    launch(*call.queue, "avg_pool forward", over_elements(count), avg_pool_forward, window_, call.inputs[0].data,
           call.output.data, count);
  }

  void input_gradients(const KernelCall& call) override {
    if (!call.input_gradients[0]) return;
    const std::int64_t count = call.input_gradients[0].elements();
    launch(*call.queue, "avg_pool I", over_elements(count), avg_pool_gradient, window_, call.output_gradient.data,
           call.input_gradients[0].data, count);
  }

 private:
  WindowAxes window_;
};

}  // namespace

std::unique_ptr<Kernel> make_avg_pool_cuda(const Shape& input, const Window& window) {
  return std::make_unique<AvgPoolCuda>(input, window);
}

}  // namespace lenet_flow

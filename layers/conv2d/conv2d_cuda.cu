#include "devices/cuda/launch.cuh"
#include "layers/conv2d/conv2d.h"
#include "layers/cuda/block_sum.cuh"
#include "layers/cuda/window.cuh"

namespace lenet_flow {
namespace {

/// Threads that sum one weight's gradient.
constexpr unsigned weight_threads = 64;

/// A Convolution, ready for kernels.
struct ConvolutionSizes {
  WindowAxes window;
  int inputs, outputs, group_inputs, group_outputs;

  explicit ConvolutionSizes(const Convolution& convolution)
      : window(convolution.input, convolution.window),
        inputs(static_cast<int>(convolution.input.channels)),
        outputs(static_cast<int>(convolution.output.channels)),
        group_inputs(static_cast<int>(convolution.group_inputs())),
        group_outputs(static_cast<int>(convolution.group_outputs())) {}

  /// Taps of one output channel's weight and one input channel.
  __device__ int taps() const { return window.rows.kernel * window.columns.kernel; }
};

/// A thread an output element: sums over (channel of the group, kernel row, kernel column), then adds the bias.
__global__ void conv2d_forward(ConvolutionSizes sizes, const float* inputs, const float* weights, const float* biases,
                               float* outputs, std::int64_t count) {
  const WindowAxis rows = sizes.window.rows, columns = sizes.window.columns;
  for_each_element(count, [&](std::int64_t i) {
    const std::int64_t plane = i / sizes.window.out_plane(), image = plane / sizes.outputs;
    const int position = static_cast<int>(i % sizes.window.out_plane());
    const int row = position / columns.output, column = position % columns.output;
    const int output = static_cast<int>(plane % sizes.outputs);
    const float* weight = weights + std::int64_t{output} * sizes.group_inputs * sizes.taps();
    const int first_channel = output / sizes.group_outputs * sizes.group_inputs;
    const float* x = inputs + (image * sizes.inputs + first_channel) * sizes.window.in_plane();
    float sum = 0;
    for (int channel = 0; channel < sizes.group_inputs; ++channel) {
      for (int tap_row = 0; tap_row < rows.kernel; ++tap_row) {
        const int in_row = rows.element(row, tap_row);
        if (!rows.inside(in_row)) continue;
        for (int tap_column = 0; tap_column < columns.kernel; ++tap_column) {
          const int in_column = columns.element(column, tap_column);
          if (columns.inside(in_column))
            sum = fmaf(weight[tap_row * columns.kernel + tap_column],
                       x[std::int64_t{in_row} * columns.input + in_column], sum);
        }
      }
      x += sizes.window.in_plane();
      weight += sizes.taps();
    }
    outputs[i] = biases ? sum + biases[output] : sum;
  });
}

/// A thread an input element: sums over (output channel of the group, kernel row, kernel column).
__global__ void conv2d_input_gradient(ConvolutionSizes sizes, const float* output_gradients, const float* weights,
                                      float* input_gradients, std::int64_t count) {
  const WindowAxis rows = sizes.window.rows, columns = sizes.window.columns;
  for_each_element(count, [&](std::int64_t i) {
    const std::int64_t plane = i / sizes.window.in_plane(), image = plane / sizes.inputs;
    const int place = static_cast<int>(i % sizes.window.in_plane());
    const int in_row = place / columns.input, in_column = place % columns.input;
    const int channel = static_cast<int>(plane % sizes.inputs), group = channel / sizes.group_inputs;
    const int first_output = group * sizes.group_outputs;
    const float* dy = output_gradients + (image * sizes.outputs + first_output) * sizes.window.out_plane();
    const float* weight =
        weights + (std::int64_t{first_output} * sizes.group_inputs + channel % sizes.group_inputs) * sizes.taps();
    float sum = 0;
    for (int output = 0; output < sizes.group_outputs; ++output) {
      for (int tap_row = 0; tap_row < rows.kernel; ++tap_row) {
        const int row = rows.position(in_row, tap_row);
        if (row < 0) continue;
        for (int tap_column = 0; tap_column < columns.kernel; ++tap_column) {
          const int column = columns.position(in_column, tap_column);
          if (column >= 0)
            sum = fmaf(weight[tap_row * columns.kernel + tap_column], dy[std::int64_t{row} * columns.output + column],
                       sum);
        }
      }
      dy += sizes.window.out_plane();
      weight += std::int64_t{sizes.group_inputs} * sizes.taps();
    }
    input_gradients[i] = sum;
  });
}

/// A block a weight: thread t of n sums positions t, t + n, ... of all images, in their order; then the block's sum.
__global__ void conv2d_weight_gradient(ConvolutionSizes sizes, const float* inputs, const float* output_gradients,
                                       float* weight_gradients, std::int64_t images) {
  const WindowAxis rows = sizes.window.rows, columns = sizes.window.columns;
  const int tap = static_cast<int>(blockIdx.x % sizes.taps()), filter = static_cast<int>(blockIdx.x / sizes.taps());
  const int output = filter / sizes.group_inputs;
  const int channel = output / sizes.group_outputs * sizes.group_inputs + filter % sizes.group_inputs;
  const int tap_row = tap / columns.kernel, tap_column = tap % columns.kernel;
  float sum = 0;
  for (std::int64_t i = threadIdx.x; i < images * sizes.window.out_plane(); i += blockDim.x) {
    const std::int64_t image = i / sizes.window.out_plane();
    const int position = static_cast<int>(i % sizes.window.out_plane());
    const int in_row = rows.element(position / columns.output, tap_row);
    const int in_column = columns.element(position % columns.output, tap_column);
    if (rows.inside(in_row) && columns.inside(in_column))
      sum = fmaf(output_gradients[(image * sizes.outputs + output) * sizes.window.out_plane() + position],
                 inputs[(image * sizes.inputs + channel) * sizes.window.in_plane() +
                        std::int64_t{in_row} * columns.input + in_column],
                 sum);
  }
  sum = block_sum(sum);
  if (threadIdx.x == 0) weight_gradients[blockIdx.x] = sum;
}

/// A block an output channel, summed as conv2d_weight_gradient does.
__global__ void conv2d_bias_gradient(ConvolutionSizes sizes, const float* output_gradients, float* bias_gradients,
                                     std::int64_t images) {
  const std::int64_t plane = sizes.window.out_plane();
  float sum = 0;
  for (std::int64_t i = threadIdx.x; i < images * plane; i += blockDim.x)
    sum += output_gradients[(i / plane * sizes.outputs + blockIdx.x) * plane + i % plane];
  sum = block_sum(sum);
  if (threadIdx.x == 0) bias_gradients[blockIdx.x] = sum;
}

/// Direct convolution, no memory beside the tensors.
class Conv2dCuda final : public Kernel {
 public:
  explicit Conv2dCuda(const Convolution& convolution)
      : sizes_(convolution), weights_(convolution.output.channels * convolution.depth()), bias_(convolution.bias) {}

  void forward(const KernelCall& call) override {
    const std::int64_t count = call.output.elements();
    launch(*call.queue, "conv2d forward", over_elements(count), conv2d_forward, sizes_, call.inputs[0].data,
           call.parameters[0].data, bias_ ? call.parameters[1].data : nullptr, call.output.data, count);
  }

  void input_gradients(const KernelCall& call) override {
    if (!call.input_gradients[0]) return;
    const std::int64_t count = call.input_gradients[0].elements();
    launch(*call.queue, "conv2d I", over_elements(count), conv2d_input_gradient, sizes_, call.output_gradient.data,
           call.parameters[0].data, call.input_gradients[0].data, count);
  }

  void parameter_gradients(const KernelCall& call) override {
    launch(*call.queue, "conv2d W", {static_cast<unsigned>(weights_), weight_threads}, conv2d_weight_gradient, sizes_,
           call.inputs[0].data, call.output_gradient.data, call.parameter_gradients[0].data, call.images);
    if (bias_)
      launch(*call.queue, "conv2d W, bias", {static_cast<unsigned>(sizes_.outputs), weight_threads},
             conv2d_bias_gradient, sizes_, call.output_gradient.data, call.parameter_gradients[1].data, call.images);
  }

 private:
  ConvolutionSizes sizes_;
  std::int64_t weights_;
  bool bias_;
};

}  // namespace

std::unique_ptr<Kernel> make_conv2d_cuda(const Convolution& convolution) {
  return std::make_unique<Conv2dCuda>(convolution);
}

}  // namespace lenet_flow

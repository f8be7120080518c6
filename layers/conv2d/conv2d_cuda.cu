#include "devices/cuda/launch.cuh"
#include "layers/conv2d/conv2d.h"
#include "layers/cuda/partial_sums.cuh"
#include "layers/cuda/window.cuh"

namespace lenet_flow {
namespace {

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

/// x[row, column] of a plane; zero in the padding.
__device__ float element_or_zero(const WindowAxes& window, const float* x, int row, int column) {
  return window.rows.inside(row) && window.columns.inside(column) ? x[std::int64_t{row} * window.columns.input + column]
                                                                  : 0.0f;
}

/// Bits, which conv2d_chain_cuda.cu must give too: padding is a zero that is multiplied like any other element, and a
/// gradient that is exactly zero contributes nothing to I and W, not even times infinity, so that a kernel that knows
/// which ones are zero may skip them.

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
        for (int tap_column = 0; tap_column < columns.kernel; ++tap_column)
          sum = fmaf(weight[tap_row * columns.kernel + tap_column],
                     element_or_zero(sizes.window, x, rows.element(row, tap_row), columns.element(column, tap_column)),
                     sum);
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
          if (column < 0) continue;
          const float gradient = dy[std::int64_t{row} * columns.output + column];
          if (gradient != 0) sum = fmaf(weight[tap_row * columns.kernel + tap_column], gradient, sum);
        }
      }
      dy += sizes.window.out_plane();
      weight += std::int64_t{sizes.group_inputs} * sizes.taps();
    }
    input_gradients[i] = sum;
  });
}

/// A thread an element of a chunk's partial sum (blocks: y a chunk): a weight, or behind them a bias; sums over (image,
/// row, column) of the output.
__global__ void conv2d_parameter_gradient(ConvolutionSizes sizes, const float* inputs, const float* output_gradients,
                                          std::int64_t images, ImageChunks cut, GradientArrays to, float* partial) {
  const std::int64_t first = blockIdx.y * cut.images_per_chunk;
  const std::int64_t last = first + cut.images_per_chunk < images ? first + cut.images_per_chunk : images;
  const WindowAxis rows = sizes.window.rows, columns = sizes.window.columns;
  for_each_element(to.elements(), [&](std::int64_t i) {
    const bool is_bias = i >= to.weight_elements;
    const int tap = static_cast<int>(i % sizes.taps()), filter = static_cast<int>(i / sizes.taps());
    const int output = is_bias ? static_cast<int>(i - to.weight_elements) : filter / sizes.group_inputs;
    const int channel = output / sizes.group_outputs * sizes.group_inputs + filter % sizes.group_inputs;
    float sum = 0;
    for (std::int64_t image = first; image < last; ++image) {
      const float* dy = output_gradients + (image * sizes.outputs + output) * sizes.window.out_plane();
      const float* x = inputs + (image * sizes.inputs + channel) * sizes.window.in_plane();
      for (int row = 0; row < rows.output; ++row)
        for (int column = 0; column < columns.output; ++column) {
          const float gradient = dy[std::int64_t{row} * columns.output + column];
          if (gradient == 0) continue;
          sum = is_bias ? sum + gradient
                        : fmaf(gradient,
                               element_or_zero(sizes.window, x, rows.element(row, tap / columns.kernel),
                                               columns.element(column, tap % columns.kernel)),
                               sum);
        }
    }
    if (partial)
      partial[blockIdx.y * to.elements() + i] = sum;
    else
      *to.element(i) = sum;
  });
}

/// Direct convolution.
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

  std::size_t workspace_bytes(std::int64_t images, int) const override {
    return partial_bytes(weights_ + (bias_ ? sizes_.outputs : 0), images, 1);
  }

  void parameter_gradients(const KernelCall& call) override {
    const GradientArrays to{call.parameter_gradients[0].data, bias_ ? call.parameter_gradients[1].data : nullptr,
                            weights_, bias_ ? sizes_.outputs : 0};
    const ImageChunks cut(to.elements(), call.images, 1);
    float* partial = cut.chunks > 1 ? reinterpret_cast<float*>(call.workspace.data()) : nullptr;
    LaunchShape shape = over_elements(to.elements());
    shape.rows = static_cast<unsigned>(cut.chunks);
    launch(*call.queue, "conv2d W", shape, conv2d_parameter_gradient, sizes_, call.inputs[0].data,
           call.output_gradient.data, call.images, cut, to, partial);
    if (partial) add_up(*call.queue, "conv2d W, sum", partial, cut.chunks, to);
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

#include "devices/cuda/launch.cuh"
#include "layers/batch_norm/batch_norm.h"
#include "layers/cuda/block_sum.cuh"

namespace lenet_flow {
namespace {

enum BatchNormParameter : std::size_t { weight, bias, running_mean, running_var };

constexpr unsigned channel_threads = 256;

/// Where the elements of the block's channel lie: element i of it, over all images, in image order.
struct ChannelElements {
  std::int64_t channels, plane, count;  ///< count: of one channel, over all images

  __device__ std::int64_t place(std::int64_t i) const {
    return (i / plane * channels + blockIdx.x) * plane + i % plane;
  }
  /// The sum of term(place) over the channel, in every thread. The split depends on shapes alone.
  template <typename Term>
  __device__ double sum(Term term) const {
    double mine = 0;
    for (std::int64_t i = threadIdx.x; i < count; i += blockDim.x) mine += term(place(i));
    return block_sum(mine);
  }
};

struct BatchNormForward {
  ChannelElements at;
  const float *inputs, *weights, *biases, *running_means, *running_variances;
  float* outputs;
  double* saved;      ///< mean of each channel, then 1 / sqrt(var + eps) of each
  float* statistics;  ///< mean of each channel, then unbiased variance of each; null when inferring
  double eps;
};

/// A block a channel, all three kernels.
__global__ void batch_norm_forward(BatchNormForward call) {
  const unsigned channel = blockIdx.x;
  const float* x = call.inputs;
  double mean = call.running_means[channel], variance = call.running_variances[channel];
  if (call.statistics) {
    const auto count = static_cast<double>(call.at.count);
    mean = call.at.sum([&](std::int64_t i) { return static_cast<double>(x[i]); }) / count;
    const double squares = call.at.sum([&](std::int64_t i) {
      const double difference = static_cast<double>(x[i]) - mean;
      return difference * difference;
    });
    variance = squares / count;
    if (threadIdx.x == 0) {
      call.statistics[channel] = static_cast<float>(mean);
      call.statistics[call.at.channels + channel] = static_cast<float>(squares / (count > 2 ? count - 1 : 1.0));
    }
  }
  const double inverse = 1.0 / sqrt(variance + call.eps);
  if (threadIdx.x == 0) {
    call.saved[channel] = mean;
    call.saved[call.at.channels + channel] = inverse;
  }
  const double scale = inverse * static_cast<double>(call.weights[channel]);
  const auto shift = static_cast<double>(call.biases[channel]);
  for (std::int64_t i = threadIdx.x; i < call.at.count; i += blockDim.x) {
    const std::int64_t place = call.at.place(i);
    call.outputs[place] = static_cast<float>((static_cast<double>(x[place]) - mean) * scale + shift);
  }
}

struct BatchNormGradient {
  ChannelElements at;
  const float *inputs, *output_gradients;
  const double* saved;

  /// (x - mean) / sqrt(var + eps).
  __device__ double normalized(std::int64_t place) const {
    return (static_cast<double>(inputs[place]) - saved[blockIdx.x]) * saved[at.channels + blockIdx.x];
  }
  __device__ double sum_dy() const {
    return at.sum([&](std::int64_t i) { return static_cast<double>(output_gradients[i]); });
  }
  __device__ double sum_dy_normalized() const {
    return at.sum([&](std::int64_t i) { return static_cast<double>(output_gradients[i]) * normalized(i); });
  }
};

/// dx = weight / sqrt(var + eps) * (dy - mean(dy) - xhat * mean(dy * xhat)): mean and variance depend on x too.
__global__ void batch_norm_input_gradient(BatchNormGradient call, const float* weights, float* input_gradients) {
  const auto count = static_cast<double>(call.at.count);
  const double mean_dy = call.sum_dy() / count, mean_dy_xhat = call.sum_dy_normalized() / count;
  const double scale = call.saved[call.at.channels + blockIdx.x] * static_cast<double>(weights[blockIdx.x]);
  for (std::int64_t i = threadIdx.x; i < call.at.count; i += blockDim.x) {
    const std::int64_t place = call.at.place(i);
    const auto dy = static_cast<double>(call.output_gradients[place]);
    input_gradients[place] = static_cast<float>(scale * (dy - mean_dy - call.normalized(place) * mean_dy_xhat));
  }
}

__global__ void batch_norm_parameter_gradients(BatchNormGradient call, float* weight_gradients, float* bias_gradients) {
  const double dy_xhat = call.sum_dy_normalized(), dy = call.sum_dy();
  if (threadIdx.x != 0) return;
  weight_gradients[blockIdx.x] = static_cast<float>(dy_xhat);
  bias_gradients[blockIdx.x] = static_cast<float>(dy);
}

/// PyTorch's momentum: running = (1 - momentum) * running + momentum * (this micro-batch's).
__global__ void batch_norm_fold(double momentum, const float* statistics, float* running_means,
                                float* running_variances, std::int64_t channels) {
  for_each_element(channels, [&](std::int64_t channel) {
    const auto fold = [&](float& running, float now) {
      running =
          static_cast<float>((1.0 - momentum) * static_cast<double>(running) + momentum * static_cast<double>(now));
    };
    fold(running_means[channel], statistics[channel]);
    fold(running_variances[channel], statistics[channels + channel]);
  });
}

/// The mathematics of BatchNormCpu, in double precision too. Trade-off: GPUs not made for science compute doubles at a
/// 64th of the speed of floats, so that this layer is bound by arithmetic there and by memory elsewhere.
class BatchNormCuda final : public Kernel {
 public:
  BatchNormCuda(const Shape& input, double eps, double momentum)
      : channels_(input.channels), plane_(input.height * input.width), eps_(eps), momentum_(momentum) {}

  std::size_t saved_bytes(std::int64_t) const override {
    return static_cast<std::size_t>(channels_) * 2 * sizeof(double);
  }
  std::int64_t statistics_floats() const override { return 2 * channels_; }

  void forward(const KernelCall& call) override {
    launch(*call.queue, "batch_norm forward", a_block_a_channel(), batch_norm_forward,
           BatchNormForward{.at = elements(call),
                            .inputs = call.inputs[0].data,
                            .weights = call.parameters[weight].data,
                            .biases = call.parameters[bias].data,
                            .running_means = call.parameters[running_mean].data,
                            .running_variances = call.parameters[running_var].data,
                            .outputs = call.output.data,
                            .saved = saved(call),
                            .statistics = call.facts.mode == Mode::train ? call.statistics.data() : nullptr,
                            .eps = eps_});
  }

  void input_gradients(const KernelCall& call) override {
    if (!call.input_gradients[0]) return;
    launch(*call.queue, "batch_norm I", a_block_a_channel(), batch_norm_input_gradient, gradient(call),
           call.parameters[weight].data, call.input_gradients[0].data);
  }

  void parameter_gradients(const KernelCall& call) override {
    launch(*call.queue, "batch_norm W", a_block_a_channel(), batch_norm_parameter_gradients, gradient(call),
           call.parameter_gradients[weight].data, call.parameter_gradients[bias].data);
  }

  void fold_statistics(const KernelCall& call) override {
    launch(*call.queue, "batch_norm fold", over_elements(channels_), batch_norm_fold, momentum_, call.statistics.data(),
           call.parameters[running_mean].data, call.parameters[running_var].data, channels_);
  }

 private:
  LaunchShape a_block_a_channel() const { return {static_cast<unsigned>(channels_), channel_threads}; }
  ChannelElements elements(const KernelCall& call) const { return {channels_, plane_, call.images * plane_}; }
  static double* saved(const KernelCall& call) { return reinterpret_cast<double*>(call.saved.data()); }
  BatchNormGradient gradient(const KernelCall& call) const {
    return {elements(call), call.inputs[0].data, call.output_gradient.data, saved(call)};
  }

  std::int64_t channels_, plane_;
  double eps_, momentum_;
};

}  // namespace

std::unique_ptr<Kernel> make_batch_norm_cuda(const Shape& input, double eps, double momentum) {
  return std::make_unique<BatchNormCuda>(input, eps, momentum);
}

}  // namespace lenet_flow

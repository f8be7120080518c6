#include "layers/batch_norm/batch_norm.h"

#include <algorithm>
#include <cmath>

#include "layers/cpu/fixed_sum.h"
#include "layers/layer.h"

namespace lenet_flow {
namespace {

enum Parameter : std::size_t { weight, bias, running_mean, running_var };

/// Ioffe and Szegedy, ICML 2015: y = (x - mean) / sqrt(var + eps) * weight + bias, by channel. Mean and variance are
/// those of the micro-batch in training (biased variance) and the running ones when inferring.
/// Saved: mean and 1 / sqrt(var + eps) of each channel, as doubles. Statistics: mean and unbiased variance of each
/// channel; the variance of a single number is taken as zero.
class BatchNormCpu final : public Kernel {
 public:
  BatchNormCpu(const Shape& input, double eps, double momentum)
      : channels_(input.channels), plane_(input.height * input.width), eps_(eps), momentum_(momentum) {}

  std::size_t saved_bytes(std::int64_t) const override {
    return static_cast<std::size_t>(channels_) * 2 * sizeof(double);
  }
  std::int64_t statistics_floats() const override { return 2 * channels_; }

  void forward(const KernelCall& call) override {
    for_each_channel(call, [&](std::int64_t channel) {
      const auto c = static_cast<std::size_t>(channel);
      double mean = static_cast<double>(call.parameters[running_mean].data[channel]);
      double variance = static_cast<double>(call.parameters[running_var].data[channel]);
      if (call.facts.mode == Mode::train) {
        const double count = static_cast<double>(call.images * plane_);
        mean = sum(call, channel, [x = call.inputs[0].data](std::int64_t i) { return x[i]; }) / count;
        const double squares = sum(call, channel, [x = call.inputs[0].data, mean](std::int64_t i) {
          const double difference = static_cast<double>(x[i]) - mean;
          return difference * difference;
        });
        variance = squares / count;
        call.statistics[c] = static_cast<float>(mean);
        call.statistics[static_cast<std::size_t>(channels_) + c] =
            static_cast<float>(squares / std::max(1.0, count - 1));
      }
      const double inverse = 1.0 / std::sqrt(variance + eps_);
      Saved(call).mean[channel] = mean;
      Saved(call).inverse[channel] = inverse;
      const double scale = inverse * static_cast<double>(call.parameters[weight].data[channel]);
      const double shift = static_cast<double>(call.parameters[bias].data[channel]);
      for_each_row(call, channel, [&](std::int64_t first) {
        const float* from = call.inputs[0].data + first;
        float* to = call.output.data + first;
        for (std::int64_t i = 0; i < plane_; ++i)
          to[i] = static_cast<float>((static_cast<double>(from[i]) - mean) * scale + shift);
      });
    });
  }

  /// dx = weight / sqrt(var + eps) * (dy - mean(dy) - xhat * mean(dy * xhat)): mean and variance depend on x too.
  void input_gradients(const KernelCall& call) override {
    if (!call.input_gradients[0]) return;
    for_each_channel(call, [&](std::int64_t channel) {
      const double mean = Saved(call).mean[channel], inverse = Saved(call).inverse[channel];
      const Sums sums = gradient_sums(call, channel);
      const double count = static_cast<double>(call.images * plane_);
      const double scale = inverse * static_cast<double>(call.parameters[weight].data[channel]);
      const double mean_dy = sums.dy / count, mean_dy_xhat = sums.dy_xhat / count;
      for_each_row(call, channel, [&](std::int64_t first) {
        const float *x = call.inputs[0].data + first, *dy = call.output_gradient.data + first;
        float* to = call.input_gradients[0].data + first;
        for (std::int64_t i = 0; i < plane_; ++i) {
          const double xhat = (static_cast<double>(x[i]) - mean) * inverse;
          to[i] = static_cast<float>(scale * (static_cast<double>(dy[i]) - mean_dy - xhat * mean_dy_xhat));
        }
      });
    });
  }

  void parameter_gradients(const KernelCall& call) override {
    for_each_channel(call, [&](std::int64_t channel) {
      const Sums sums = gradient_sums(call, channel);
      call.parameter_gradients[weight].data[channel] = static_cast<float>(sums.dy_xhat);
      call.parameter_gradients[bias].data[channel] = static_cast<float>(sums.dy);
    });
  }

  /// PyTorch's momentum: running = (1 - momentum) * running + momentum * (this micro-batch's).
  void fold_statistics(const KernelCall& call) override {
    for (std::int64_t channel = 0; channel < channels_; ++channel)
      for (const std::size_t which : {0, 1}) {
        float& running = call.parameters[running_mean + which].data[channel];
        const double now = static_cast<double>(
            call.statistics[which * static_cast<std::size_t>(channels_) + static_cast<std::size_t>(channel)]);
        running = static_cast<float>((1.0 - momentum_) * static_cast<double>(running) + momentum_ * now);
      }
  }

 private:
  struct Saved {
    explicit Saved(const KernelCall& call)
        : mean(reinterpret_cast<double*>(call.saved.data())), inverse(mean + call.inputs[0].shape.channels) {}
    double *mean, *inverse;
  };
  struct Sums {
    double dy = 0, dy_xhat = 0;
  };

  template <typename Body>
  void for_each_channel(const KernelCall& call, Body&& body) const {
    call.cpu().parallel_for(channels_, 1, [&](std::int64_t begin, std::int64_t end, int) {
      for (std::int64_t channel = begin; channel < end; ++channel) body(channel);
    });
  }

  /// body(first element of a channel of an image), image by image.
  template <typename Body>
  void for_each_row(const KernelCall& call, std::int64_t channel, Body&& body) const {
    for (std::int64_t image = 0; image < call.images; ++image) body((image * channels_ + channel) * plane_);
  }

  /// term(element), summed over a channel of all images, in image order.
  template <typename Term>
  double sum(const KernelCall& call, std::int64_t channel, Term&& term) const {
    double total = 0;
    for_each_row(call, channel, [&](std::int64_t first) {
      total += fixed_sum(plane_, [&](std::int64_t i) { return term(first + i); });
    });
    return total;
  }

  Sums gradient_sums(const KernelCall& call, std::int64_t channel) const {
    const float *x = call.inputs[0].data, *dy = call.output_gradient.data;
    const double mean = Saved(call).mean[channel], inverse = Saved(call).inverse[channel];
    return {sum(call, channel, [&](std::int64_t i) { return dy[i]; }), sum(call, channel, [&](std::int64_t i) {
              return static_cast<double>(dy[i]) * ((static_cast<double>(x[i]) - mean) * inverse);
            })};
  }

  std::int64_t channels_, plane_;
  double eps_, momentum_;
};

class BatchNorm final : public Layer {
 public:
  explicit BatchNorm(const Attributes& attributes)
      : eps_(attributes.number("eps")), momentum_(attributes.number("momentum")) {}

  Shape output_shape(std::span<const Shape> inputs) const override { return inputs[0]; }

  std::vector<ParameterSpec> parameters(std::span<const Shape> inputs) const override {
    const std::int64_t channels = inputs[0].channels;
    return {{.name = "weight", .shape = {channels}, .initializer = Initializer::ones},
            {.name = "bias", .shape = {channels}, .initializer = Initializer::zeros},
            {.name = "running_mean", .shape = {channels}, .trained = false, .initializer = Initializer::zeros},
            {.name = "running_var", .shape = {channels}, .trained = false, .initializer = Initializer::ones}};
  }

  /// Two sums and a line forward; two sums and a plane backward.
  Flops flops(std::span<const Shape> inputs) const override {
    const double elements = static_cast<double>(inputs[0].elements());
    return {7 * elements, 11 * elements, 5 * elements};
  }

  std::unique_ptr<Kernel> make_kernel(DeviceKind kind, std::string_view, std::span<const Shape> inputs,
                                      const Shape&) const override {
    if (kind == DeviceKind::cuda) return make_with_cuda(make_batch_norm_cuda, inputs[0], eps_, momentum_);
    return std::make_unique<BatchNormCpu>(inputs[0], eps_, momentum_);
  }

 private:
  double eps_, momentum_;
};

}  // namespace

LayerType batch_norm_type() {
  return {.name = "batch_norm",
          .help = "normalizes each channel by the mean and variance of its micro-batch (not of the batch)",
          .attributes = {{.name = "eps",
                          .kind = AttributeKind::number,
                          .help = "added to the variance",
                          .default_value = 1e-5,
                          .minimum = 0,
                          .maximum = 1,
                          .open_minimum = true},
                         {.name = "momentum",
                          .kind = AttributeKind::number,
                          .help = "share of a new micro-batch in the running mean and variance",
                          .default_value = 0.1,
                          .minimum = 0,
                          .maximum = 1}},
          .make = [](const Attributes& attributes) { return std::make_unique<BatchNorm>(attributes); }};
}

}  // namespace lenet_flow

#include "layers/busy/busy.h"

#include <algorithm>
#include <chrono>
#include <string>

#include "layers/layer.h"

namespace lenet_flow {
namespace {

using Clock = std::chrono::steady_clock;

/// When work of `microseconds` that begins now has to end; the clock's begin where it takes nothing.
Clock::time_point deadline(double microseconds) {
  if (microseconds <= 0) return {};
  return Clock::now() +
         std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double, std::micro>(microseconds));
}

/// Computes until `end`. A deadline, not a loop with a calibrated number of rounds: rounds that
/// were calibrated while somebody else had the core, or at another clock rate, would be wrong by as much in the whole
/// process without a word, while a deadline is late only where the core is taken away at that very moment. What is lost
/// is that the work of two threads on one core adds up; the engine lets devices that share a core take turns.
void compute_until(Clock::time_point end) {
  if (end == Clock::time_point{}) return;
  double value = 0.5;
  while (Clock::now() < end)
    for (int round = 0; round < 16; ++round) value = 3.7 * value * (1 - value);  // each needs the one before
  [[maybe_unused]] volatile double kept = value;                                 // so that it is computed
}

/// The images are dealt out among the device's cores, as those of other layers are: n cores take 1/n of the time.
class BusyCpu final : public Kernel {
 public:
  explicit BusyCpu(const BusyTimes& times) : times_(times) {}

  void forward(const KernelCall& call) override { copy(call, call.inputs[0], call.output, times_.forward); }

  void input_gradients(const KernelCall& call) override {
    if (call.input_gradients[0]) copy(call, call.output_gradient, call.input_gradients[0], times_.input_gradients);
  }

  void parameter_gradients(const KernelCall& call) override {
    if (call.parameter_gradients.empty()) return;
    call.parameter_gradients[0].data[0] = 0;
    call.cpu().parallel_for(call.images, 1, [&](std::int64_t begin, std::int64_t end, int) {
      compute_until(deadline(times_.parameter_gradients * static_cast<double>(end - begin)));
    });
  }

 private:
  static void copy(const KernelCall& call, const Tensor& from, const Tensor& to, double microseconds) {
    const std::int64_t elements = from.shape.elements();
    call.cpu().parallel_for(call.images, 1, [&](std::int64_t begin, std::int64_t end, int) {
      const Clock::time_point until = deadline(microseconds * static_cast<double>(end - begin));
      std::copy_n(from.data + begin * elements, (end - begin) * elements, to.data + begin * elements);
      compute_until(until);
    });
  }

  BusyTimes times_;
};

class Busy final : public Layer {
 public:
  explicit Busy(const Attributes& attributes)
      : times_{attributes.number("forward_us"), attributes.number("input_gradients_us"),
               attributes.number("parameter_gradients_us")} {}

  Shape output_shape(std::span<const Shape> inputs) const override { return inputs[0]; }

  /// A number that is in no output, so its gradient is 0: only a layer with a parameter has a W.
  std::vector<ParameterSpec> parameters(std::span<const Shape>) const override {
    if (times_.parameter_gradients <= 0) return {};
    return {{.name = "weight", .shape = {1}, .initializer = Initializer::zeros}};
  }

  /// A microsecond counts as the 10,000 operations that estimates take a core for, so that they see these layers right.
  Flops flops(std::span<const Shape>) const override {
    constexpr double in_a_microsecond = 10e3;
    return {times_.forward * in_a_microsecond, times_.input_gradients * in_a_microsecond,
            times_.parameter_gradients * in_a_microsecond};
  }

  std::unique_ptr<Kernel> make_kernel(DeviceKind kind, std::string_view, std::span<const Shape>,
                                      const Shape&) const override {
    if (kind == DeviceKind::cuda) return make_with_cuda(make_busy_cuda, times_);
    return std::make_unique<BusyCpu>(times_);
  }

 private:
  BusyTimes times_;
};

AttributeSpec time_attribute(std::string name, std::string help) {
  return {.name = std::move(name),
          .kind = AttributeKind::number,
          .help = std::move(help),
          .default_value = 0.0,
          .minimum = 0,
          .maximum = 1e6};
}

}  // namespace

LayerType busy_type() {
  return {.name = "busy",
          .help =
              "passes values and gradients on and keeps a core busy: for experiments with schedules, not for "
              "networks of use",
          .attributes = {time_attribute("forward_us", "microseconds an image of forward"),
                         time_attribute("input_gradients_us", "microseconds an image of the inputs' gradients"),
                         time_attribute("parameter_gradients_us",
                                        "microseconds an image of the parameters' gradients; with any, the layer has a "
                                        "parameter that changes nothing")},
          .make = [](const Attributes& attributes) { return std::make_unique<Busy>(attributes); }};
}

}  // namespace lenet_flow

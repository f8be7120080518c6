#include "devices/cuda/global_timer.cuh"
#include "devices/cuda/launch.cuh"
#include "layers/busy/busy.h"

namespace lenet_flow {
namespace {

/// One thread that looks at the clock until the time is over; clears `gradient` where there is one.
__global__ void busy_wait(std::int64_t time, float* gradient) {
  const std::int64_t end = global_nanoseconds() + time;
  if (gradient) *gradient = 0;
  while (global_nanoseconds() < end) {
  }
}

/// Keeps the stream busy, not the whole GPU: one thread waits for so many microseconds an image.
class BusyCuda final : public Kernel {
 public:
  explicit BusyCuda(const BusyTimes& times) : times_(times) {}

  void forward(const KernelCall& call) override {
    copy_floats(*call.queue, "busy forward", call.inputs[0].data, call.output.data, call.output.elements());
    wait(call, "busy forward", times_.forward, nullptr);
  }

  void input_gradients(const KernelCall& call) override {
    if (!call.input_gradients[0]) return;
    copy_floats(*call.queue, "busy I", call.output_gradient.data, call.input_gradients[0].data,
                call.output_gradient.elements());
    wait(call, "busy I", times_.input_gradients, nullptr);
  }

  void parameter_gradients(const KernelCall& call) override {
    if (!call.parameter_gradients.empty())
      wait(call, "busy W", times_.parameter_gradients, call.parameter_gradients[0].data);
  }

 private:
  static void wait(const KernelCall& call, const char* name, double microseconds_an_image, float* gradient) {
    const auto time = static_cast<std::int64_t>(1000 * microseconds_an_image * static_cast<double>(call.images));
    if (time > 0 || gradient) launch(*call.queue, name, {1, 1}, busy_wait, time, gradient);
  }

  BusyTimes times_;
};

}  // namespace

std::unique_ptr<Kernel> make_busy_cuda(const BusyTimes& times) { return std::make_unique<BusyCuda>(times); }

}  // namespace lenet_flow

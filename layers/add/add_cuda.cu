#include "devices/cuda/launch.cuh"
#include "layers/add/add.h"

namespace lenet_flow {
namespace {

/// `to` may be `first`.
__global__ void add_two(const float* first, const float* second, float* to, std::int64_t count) {
  for_each_element(count, [&](std::int64_t i) { to[i] = first[i] + second[i]; });
}

/// Adds the inputs in the order in which the file names them.
class AddCuda final : public Kernel {
 public:
  void forward(const KernelCall& call) override {
    const std::int64_t count = call.output.elements();
    const float* sum = call.inputs[0].data;
    for (const Tensor& input : call.inputs.subspan(1)) {
      launch(*call.queue, "add forward", over_elements(count), add_two, sum, input.data, call.output.data, count);
      sum = call.output.data;
    }
  }

  void input_gradients(const KernelCall& call) override {
    for (const Tensor& gradient : call.input_gradients)
      if (gradient) copy_floats(*call.queue, "add I", call.output_gradient.data, gradient.data, gradient.elements());
  }
};

}  // namespace

std::unique_ptr<Kernel> make_add_cuda() { return std::make_unique<AddCuda>(); }

}  // namespace lenet_flow

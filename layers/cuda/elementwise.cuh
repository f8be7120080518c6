#pragma once

#include "devices/cuda/launch.cuh"
#include "layers/kernel.h"

namespace lenet_flow {

template <typename Function>
__global__ void elementwise_outputs(Function function, const float* inputs, float* outputs, std::int64_t count) {
  for_each_element(count, [&](std::int64_t i) { outputs[i] = function.output(inputs[i]); });
}

template <typename Function>
__global__ void elementwise_gradients(Function function, const float* inputs, const float* outputs,
                                      const float* output_gradients, float* input_gradients, std::int64_t count) {
  for_each_element(count, [&](std::int64_t i) {
    input_gradients[i] = function.gradient(inputs[i], outputs[i], output_gradients[i]);
  });
}

/// CUDA kernel of a layer whose output element depends on the input element at the same place only. Function has
///   __device__ float output(float x) const;
///   __device__ float gradient(float x, float y, float dy) const;
template <typename Function>
class ElementwiseCuda final : public Kernel {
 public:
  /// Names as launches show them: "relu forward", "relu I".
  ElementwiseCuda(const char* forward_name, const char* gradient_name, const Function& function)
      : forward_name_(forward_name), gradient_name_(gradient_name), function_(function) {}

  void forward(const KernelCall& call) override {
    const std::int64_t count = call.output.elements();
    launch(*call.queue, forward_name_, over_elements(count), elementwise_outputs<Function>, function_,
           call.inputs[0].data, call.output.data, count);
  }

  void input_gradients(const KernelCall& call) override {
    if (!call.input_gradients[0]) return;
    const std::int64_t count = call.output.elements();
    launch(*call.queue, gradient_name_, over_elements(count), elementwise_gradients<Function>, function_,
           call.inputs[0].data, call.output.data, call.output_gradient.data, call.input_gradients[0].data, count);
  }

 private:
  const char *forward_name_, *gradient_name_;
  Function function_;
};

}  // namespace lenet_flow

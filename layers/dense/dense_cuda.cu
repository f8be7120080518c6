#include "layers/cuda/matrix_product.cuh"
#include "layers/dense/dense.h"

namespace lenet_flow {
namespace {

/// A thread an output; sums the images in their order.
__global__ void dense_bias_gradient(const float* output_gradients, float* bias_gradients, std::int64_t images,
                                    std::int64_t outputs) {
  for_each_element(outputs, [&](std::int64_t output) {
    float sum = 0;
    for (std::int64_t image = 0; image < images; ++image) sum += output_gradients[image * outputs + output];
    bias_gradients[output] = sum;
  });
}

/// Three matrix products:
///   F   output [images x outputs]            = input [images x inputs] . weight [outputs x inputs], transposed
///   I   input gradient [images x inputs]     = output gradient [images x outputs] . weight [outputs x inputs]
///   W   weight gradient [outputs x inputs]   = output gradient, transposed . input [images x inputs]
class DenseCuda final : public Kernel {
 public:
  DenseCuda(std::int64_t inputs, std::int64_t outputs, bool bias) : inputs_(inputs), outputs_(outputs), bias_(bias) {}

  void forward(const KernelCall& call) override {
    multiply(*call.queue, "dense forward", {call.images, outputs_, inputs_}, {call.inputs[0].data, inputs_, 1},
             {call.parameters[0].data, 1, inputs_}, bias_ ? call.parameters[1].data : nullptr, call.output.data);
  }

  void input_gradients(const KernelCall& call) override {
    if (!call.input_gradients[0]) return;
    multiply(*call.queue, "dense I", {call.images, inputs_, outputs_}, {call.output_gradient.data, outputs_, 1},
             {call.parameters[0].data, inputs_, 1}, nullptr, call.input_gradients[0].data);
  }

  void parameter_gradients(const KernelCall& call) override {
    multiply(*call.queue, "dense W", {outputs_, inputs_, call.images}, {call.output_gradient.data, 1, outputs_},
             {call.inputs[0].data, inputs_, 1}, nullptr, call.parameter_gradients[0].data);
    if (bias_)
      launch(*call.queue, "dense W, bias", over_elements(outputs_), dense_bias_gradient, call.output_gradient.data,
             call.parameter_gradients[1].data, call.images, outputs_);
  }

 private:
  std::int64_t inputs_, outputs_;
  bool bias_;
};

}  // namespace

std::unique_ptr<Kernel> make_dense_cuda(const DensePart& dense, const ActivationPart& activation) {
  if (activation.kind != ActivationPart::Kind::identity) return nullptr;
  return std::make_unique<DenseCuda>(dense.inputs, dense.outputs, dense.bias);
}

}  // namespace lenet_flow

#include "devices/cuda/launch.cuh"
#include "layers/cuda/block_sum.cuh"
#include "layers/global_avg_pool/global_avg_pool.h"

namespace lenet_flow {
namespace {

constexpr unsigned plane_threads = 64;

/// A block a channel of an image.
__global__ void global_avg_pool_forward(const float* inputs, float* outputs, std::int64_t plane) {
  const float* x = inputs + blockIdx.x * plane;
  float sum = 0;
  for (std::int64_t i = threadIdx.x; i < plane; i += blockDim.x) sum += x[i];
  sum = block_sum(sum);
  if (threadIdx.x == 0) outputs[blockIdx.x] = sum / static_cast<float>(plane);
}

__global__ void global_avg_pool_gradient(const float* output_gradients, float* input_gradients, std::int64_t plane,
                                         std::int64_t count) {
  for_each_element(
      count, [&](std::int64_t i) { input_gradients[i] = output_gradients[i / plane] / static_cast<float>(plane); });
}

class GlobalAvgPoolCuda final : public Kernel {
 public:
  explicit GlobalAvgPoolCuda(const Shape& input) : plane_(input.height * input.width) {}

  void forward(const KernelCall& call) override {
    launch(*call.queue, "global_avg_pool forward", {static_cast<unsigned>(call.output.elements()), plane_threads},
           global_avg_pool_forward, call.inputs[0].data, call.output.data, plane_);
  }

  void input_gradients(const KernelCall& call) override {
    if (!call.input_gradients[0]) return;
    const std::int64_t count = call.input_gradients[0].elements();
    launch(*call.queue, "global_avg_pool I", over_elements(count), global_avg_pool_gradient, call.output_gradient.data,
           call.input_gradients[0].data, plane_, count);
  }

 private:
  std::int64_t plane_;
};

}  // namespace

std::unique_ptr<Kernel> make_global_avg_pool_cuda(const Shape& input) {
  return std::make_unique<GlobalAvgPoolCuda>(input);
}

}  // namespace lenet_flow

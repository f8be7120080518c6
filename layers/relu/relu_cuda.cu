#include "layers/relu/relu.h"

#include "layers/cuda/elementwise.cuh"

namespace lenet_flow {
namespace {

/// Compares so that NaN goes through. The gradient at zero is zero.
struct ReluFunction {
  __device__ float output(float x) const { return x <= 0 ? 0.0f : x; }
  __device__ float gradient(float, float y, float dy) const { return y <= 0 ? 0.0f : dy; }
};

}  // namespace

std::unique_ptr<Kernel> make_relu_cuda() {
  return std::make_unique<ElementwiseCuda<ReluFunction>>("relu forward", "relu I", ReluFunction{});
}

}  // namespace lenet_flow

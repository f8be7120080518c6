#include "layers/leaky_relu/leaky_relu.h"

#include "layers/cuda/elementwise.cuh"

namespace lenet_flow {
namespace {

/// The gradient at zero is the slope.
struct LeakyReluFunction {
  float slope;

  __device__ float output(float x) const { return x > 0 ? x : x * slope; }
  __device__ float gradient(float x, float, float dy) const { return x > 0 ? dy : dy * slope; }
};

}  // namespace

std::unique_ptr<Kernel> make_leaky_relu_cuda(float slope) {
  return std::make_unique<ElementwiseCuda<LeakyReluFunction>>("leaky_relu forward", "leaky_relu I",
                                                              LeakyReluFunction{slope});
}

}  // namespace lenet_flow

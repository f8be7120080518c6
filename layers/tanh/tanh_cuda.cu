#include "layers/tanh/tanh.h"

#include "layers/cuda/elementwise.cuh"

namespace lenet_flow {
namespace {

/// y = tanh x, dy/dx = 1 - y^2.
struct TanhFunction {
  __device__ float output(float x) const { return tanhf(x); }
  __device__ float gradient(float, float y, float dy) const { return dy * (1.0f - y * y); }
};

}  // namespace

std::unique_ptr<Kernel> make_tanh_cuda() {
  return std::make_unique<ElementwiseCuda<TanhFunction>>("tanh forward", "tanh I", TanhFunction{});
}

}  // namespace lenet_flow

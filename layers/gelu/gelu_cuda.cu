#include "layers/gelu/gelu.h"

#include "layers/cuda/elementwise.cuh"

namespace lenet_flow {
namespace {

/// x (1 + erf(x / sqrt 2)) / 2, the exact function; its derivative is the normal distribution function plus x times
/// the normal density.
struct GeluFunction {
  /// (1 + erf(x / sqrt 2)) / 2, by erfc where x is negative, so that the far tail keeps its digits.
  __device__ static float share(float x) { return 0.5f * erfcf(-0.7071067812f * x); }
  __device__ float output(float x) const { return x * share(x); }
  __device__ float gradient(float x, float, float dy) const {
    return dy * (share(x) + x * 0.3989422804f * expf(-0.5f * x * x));
  }
};

}  // namespace

std::unique_ptr<Kernel> make_gelu_cuda() {
  return std::make_unique<ElementwiseCuda<GeluFunction>>("gelu forward", "gelu I", GeluFunction{});
}

}  // namespace lenet_flow

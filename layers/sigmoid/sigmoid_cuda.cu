#include "layers/sigmoid/sigmoid.h"

#include "layers/cuda/elementwise.cuh"

namespace lenet_flow {
namespace {

/// y = 1 / (1 + e^-x), dy/dx = y (1 - y).
struct SigmoidFunction {
  __device__ float output(float x) const { return 1.0f / (1.0f + expf(-x)); }
  __device__ float gradient(float, float y, float dy) const { return dy * (y * (1.0f - y)); }
};

/// A sigmoid whose mathematics the loss does: logit in, logit out.
struct FoldedSigmoidFunction {
  __device__ float output(float x) const { return x; }
  __device__ float gradient(float, float, float dy) const { return dy; }
};

}  // namespace

std::unique_ptr<Kernel> make_sigmoid_cuda(bool folded_into_loss) {
  if (folded_into_loss)
    return std::make_unique<ElementwiseCuda<FoldedSigmoidFunction>>("folded sigmoid forward", "folded sigmoid I",
                                                                    FoldedSigmoidFunction{});
  return std::make_unique<ElementwiseCuda<SigmoidFunction>>("sigmoid forward", "sigmoid I", SigmoidFunction{});
}

}  // namespace lenet_flow

#include "layers/sigmoid/sigmoid.h"

#include "layers/cuda/activation.cuh"
#include "layers/cuda/elementwise.cuh"

namespace lenet_flow {
namespace {

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

#include "layers/relu/relu.h"

#include "layers/cuda/activation.cuh"
#include "layers/cuda/elementwise.cuh"

namespace lenet_flow {

std::unique_ptr<Kernel> make_relu_cuda() {
  return std::make_unique<ElementwiseCuda<ReluFunction>>("relu forward", "relu I", ReluFunction{});
}

}  // namespace lenet_flow

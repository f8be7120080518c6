#include "layers/leaky_relu/leaky_relu.h"

#include "layers/cuda/activation.cuh"
#include "layers/cuda/elementwise.cuh"

namespace lenet_flow {

std::unique_ptr<Kernel> make_leaky_relu_cuda(float slope) {
  return std::make_unique<ElementwiseCuda<LeakyReluFunction>>("leaky_relu forward", "leaky_relu I",
                                                              LeakyReluFunction{slope});
}

}  // namespace lenet_flow

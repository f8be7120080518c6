#include "layers/tanh/tanh.h"

#include "layers/cuda/activation.cuh"
#include "layers/cuda/elementwise.cuh"

namespace lenet_flow {

std::unique_ptr<Kernel> make_tanh_cuda() {
  return std::make_unique<ElementwiseCuda<TanhFunction>>("tanh forward", "tanh I", TanhFunction{});
}

}  // namespace lenet_flow

#include "layers/losses/rows.cuh"
#include "layers/losses/softmax_cross_entropy/softmax_cross_entropy.h"

namespace lenet_flow {

void run_softmax_cross_entropy_cuda(const LossCall& call, const SoftmaxCrossEntropyRule& rule) {
  run_rows_cuda(call, "softmax_cross_entropy", rule);
}

}  // namespace lenet_flow

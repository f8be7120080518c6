#include "layers/losses/binary_cross_entropy/binary_cross_entropy.h"
#include "layers/losses/rows.cuh"

namespace lenet_flow {

void run_binary_cross_entropy_cuda(const LossCall& call, const BinaryCrossEntropyRule& rule) {
  run_rows_cuda(call, "binary_cross_entropy", rule);
}

}  // namespace lenet_flow

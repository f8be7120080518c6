#include "layers/losses/mean_squared_error/mean_squared_error.h"
#include "layers/losses/rows.cuh"

namespace lenet_flow {

void run_mean_squared_error_cuda(const LossCall& call, const MeanSquaredErrorRule& rule) {
  run_rows_cuda(call, "mean_squared_error", rule);
}

}  // namespace lenet_flow

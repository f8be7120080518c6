#include "layers/optimizers/adam_rule.h"
#include "layers/optimizers/update.cuh"

namespace lenet_flow {
namespace {

struct AdamStep {
  AdamFactors by;

  __device__ void operator()(const UpdateEntry& at, std::int64_t i) const {
    by.step(at.parameter[i], at.gradient[i], at.states[0][i], at.states[1][i]);
  }
};

}  // namespace

void update_adam_cuda(std::span<const UpdateCall> calls, const char* name, const AdamFactors& by) {
  update_all_cuda(calls, name, AdamStep{by});
}

}  // namespace lenet_flow

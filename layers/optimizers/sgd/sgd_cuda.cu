#include "layers/optimizers/sgd/sgd.h"
#include "layers/optimizers/update.cuh"

namespace lenet_flow {
namespace {

struct SgdStep {
  SgdRule rule;

  __device__ void operator()(const UpdateEntry& at, std::int64_t i) const {
    if (at.states[0])
      rule.step(at.parameter[i], at.gradient[i], at.states[0][i]);
    else
      rule.step(at.parameter[i], at.gradient[i]);
  }
};

}  // namespace

void update_sgd_cuda(std::span<const UpdateCall> calls, const SgdRule& rule) {
  update_all_cuda(calls, "sgd", SgdStep{rule});
}

}  // namespace lenet_flow

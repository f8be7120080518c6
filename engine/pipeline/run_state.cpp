#include "engine/pipeline/run_state.h"

namespace lenet_flow {

void RunState::fail(Failure failure) {
  const std::lock_guard lock(mutex);
  if (failed_.load(std::memory_order_relaxed)) return;
  failure_ = std::move(failure);
  failed_.store(true, std::memory_order_release);
}

Failure RunState::failure() const {
  const std::lock_guard lock(mutex);
  return failure_;
}

void RunState::clear_failure() {
  const std::lock_guard lock(mutex);
  failure_ = {};
  failed_.store(false, std::memory_order_release);
}

}  // namespace lenet_flow

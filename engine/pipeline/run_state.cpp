#include "engine/pipeline/run_state.h"

#include <fmt/format.h>

namespace lenet_flow {

std::string PassFacts::batch_text(std::int64_t batch) const {
  if (mode == Mode::infer) return fmt::format("batch {} of the images to infer", batch + 1);
  return fmt::format("batch {}, epoch {}", first_batch + batch + 1, epoch);
}

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

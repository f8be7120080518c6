#include "engine/pipeline/run_state.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <thread>

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

Nanoseconds RunState::arrival(const Token& token) const {
  if (slow_links.empty() || token.cause != Cause::input) return 0;
  const bool forward = token.kind == ActionKind::forward;
  for (const auto& link : slow_links)
    if (link->delay().from == (forward ? token.from : token.stage) &&
        link->delay().to == (forward ? token.stage : token.from))
      return link->send(token.time, forward, ring[static_cast<std::size_t>(token.micro_batch) % ring.size()]->images);
  return 0;
}

void RunState::wait_until(Nanoseconds time) const {
  constexpr Nanoseconds wake_up = 150'000, look_up = 10'000'000;
  for (Nanoseconds now = steady_now(); now < time && !failed(); now = steady_now()) {
    if (time - now > wake_up)
      std::this_thread::sleep_for(std::chrono::nanoseconds(std::min(time - now - wake_up, look_up)));
    else
      pause_a_moment();
  }
}

BatchOrder batch_order(Schedule lists, const RunState& state, int micro_batches) {
  BatchOrder order;
  order.gradient_kinds.assign(state.stages.size(),
                              std::vector<ActionKind>(static_cast<std::size_t>(micro_batches), ActionKind::backward));
  order.first_forward.assign(state.units.size(), -1);
  for (const auto& actions : lists) {
    for (const Action& action : actions) {
      const auto index = static_cast<std::size_t>(action.micro_batch);
      if (action.kind == ActionKind::input_gradients)
        order.gradient_kinds[static_cast<std::size_t>(action.stage)][index] = action.kind;
      if (action.kind != ActionKind::forward) continue;
      const StageFacts& stage = state.stage(action.stage);
      int& first = order.first_forward[static_cast<std::size_t>(
          stage.units[static_cast<std::size_t>(stage.share.replica(action.micro_batch))])];
      if (first < 0) first = action.micro_batch;
    }
  }
  order.lists = std::move(lists);
  return order;
}

}  // namespace lenet_flow

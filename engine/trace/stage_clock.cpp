#include "engine/trace/stage_clock.h"

#include <algorithm>
#include <chrono>

namespace lenet_flow {

Nanoseconds steady_now() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

void StageClock::spend(Nanoseconds until, Nanoseconds& state) {
  if (until <= at_) return;
  state += until - at_;
  at_ = until;
}

void StageClock::begin_pass(Nanoseconds now) { at_ = now; }

void StageClock::ready(const Arrivals& arrivals, bool first_of_batch, Nanoseconds batch_before_ended, Nanoseconds now) {
  if (first_of_batch) {
    spend(std::min(batch_before_ended, now), drain_);
    // While others fill the pipeline; a stage that the reader feeds has nobody before it to wait for.
    if (!entry_) spend(std::min(std::max({arrivals.input, arrivals.credit, arrivals.room}), now), fill_);
  }
  spend(std::min(arrivals.update, now), optimizer_);
  spend(std::min(arrivals.credit, now), no_credit_);
  spend(std::min(arrivals.room, now), blocked_);
  spend(std::min(arrivals.input, now), starved_);
  spend(std::min(arrivals.order, now), contended_);
  spend(now, sync_);
}

void StageClock::begin_action(Nanoseconds now) { spend(now, contended_); }

void StageClock::end_transfer(Nanoseconds now) { spend(now, transfer_); }

void StageClock::end_action(Nanoseconds now) { spend(now, compute_); }

void StageClock::end_pass(Nanoseconds now) { spend(now, drain_); }

StateSeconds StageClock::seconds() const {
  const auto seconds = [](Nanoseconds value) { return static_cast<double>(value) * 1e-9; };
  StateSeconds states;
  states.compute = seconds(compute_);
  states.transfer = seconds(transfer_);
  states.sync = seconds(sync_);
  states.blocked = seconds(blocked_);
  states.starved = seconds(starved_);
  states.no_credit = seconds(no_credit_);
  states.contended = seconds(contended_);
  states.optimizer = seconds(optimizer_);
  states.fill = seconds(fill_);
  states.drain = seconds(drain_);
  return states;
}

}  // namespace lenet_flow

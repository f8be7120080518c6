#include "engine/trace/stage_clock.h"

#include <algorithm>

namespace lenet_flow {

void StageClock::spend(Nanoseconds until, Nanoseconds& state) {
  if (until <= at_) return;
  state += until - at_;
  at_ = until;
}

void StageClock::begin_pass(Nanoseconds now) {
  at_ = now;
  last_batch_ = -1;
}

void StageClock::add(const ActionRecord& action, bool inference) {
  const Arrivals& needs = action.arrivals;
  const Nanoseconds ready = action.ready;
  const auto wait = [&](Nanoseconds until, Nanoseconds& state) { spend(std::min(until, ready), state); };
  const bool first_of_batch = last_batch_ < 0 || (!inference && action.batch != last_batch_);
  last_batch_ = action.batch;
  if (first_of_batch) {
    wait(action.drained, drain_);
    // While others fill the pipeline; a stage that the reader feeds has nobody before it to wait for.
    if (!entry_) wait(std::max({needs.input.time, needs.transfer.time, needs.credit.time, needs.room.time}), fill_);
  }
  wait(needs.update.time, optimizer_);
  wait(needs.credit.time, no_credit_);
  wait(needs.room.time, blocked_);
  wait(needs.input.time, starved_);
  wait(needs.transfer.time, transfer_);
  wait(needs.order.time, contended_);
  wait(ready, sync_);
  spend(action.begin, contended_);
  spend(action.transferred, transfer_);
  spend(action.end, compute_);
}

void StageClock::unknown(Nanoseconds until) { spend(until, unaccounted_); }

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
  states.unaccounted = seconds(unaccounted_);
  return states;
}

}  // namespace lenet_flow

#pragma once

#include <algorithm>
#include <array>

#include "engine/trace/record.h"
#include "engine/trace/states.h"

namespace lenet_flow {

/// Where the time of one stage, or of one device, goes, state by state (README.md here). Every instant of a pass is in
/// exactly one state: an action is compute, and the gap before it is split at the arrivals by the first cause that
/// matches. Takes one unit's (or one device's) actions in the order in which they ran; times only go forward. Whoever
/// wants the pieces themselves gives visit(StallState, from, until), called for each piece in the order of time.
class StageClock {
 public:
  /// `entry`: fed by the reader, so that nobody works before its first action of a batch.
  explicit StageClock(bool entry) : entry_(entry) {}

  void begin_pass(Nanoseconds now);
  /// `inference`: batches have no meaning, so only the first action of the pass can be `fill`.
  template <typename Visit>
  void add(const ActionRecord& action, bool inference, Visit&& visit);
  void add(const ActionRecord& action, bool inference) { add(action, inference, nobody); }
  /// What happened up to `until` is not known.
  template <typename Visit>
  void unknown(Nanoseconds until, Visit&& visit) {
    spend(until, StallState::unaccounted, visit);
  }
  void unknown(Nanoseconds until) { unknown(until, nobody); }
  /// The rest of the pass is `drain`.
  template <typename Visit>
  void end_pass(Nanoseconds now, Visit&& visit) {
    spend(now, StallState::drain, visit);
  }
  void end_pass(Nanoseconds now) { end_pass(now, nobody); }

  /// Of all passes so far.
  StateSeconds seconds() const;

 private:
  static void nobody(StallState, Nanoseconds, Nanoseconds) {}

  bool entry_;
  Nanoseconds at_ = 0;                                   ///< all before it is accounted for
  std::int64_t last_batch_ = -1;                         ///< of its last action in this pass
  std::array<Nanoseconds, time_states.size()> spent_{};  ///< by StallState

  /// Gives the time up to `until` to a state, where it is not given yet.
  template <typename Visit>
  void spend(Nanoseconds until, StallState state, Visit&& visit) {
    if (until <= at_) return;
    visit(state, at_, until);
    spent_[static_cast<std::size_t>(state)] += until - at_;
    at_ = until;
  }
};

template <typename Visit>
void StageClock::add(const ActionRecord& action, bool inference, Visit&& visit) {
  const Arrivals& needs = action.arrivals;
  const auto wait = [&](Nanoseconds until, StallState state) { spend(std::min(until, action.ready), state, visit); };
  const bool first_of_batch = last_batch_ < 0 || (!inference && action.batch != last_batch_);
  last_batch_ = action.batch;
  if (first_of_batch) {
    wait(action.drained, StallState::drain);
    // While others fill the pipeline; a stage that the reader feeds has nobody before it to wait for.
    if (!entry_)
      wait(std::max({needs.input.time, needs.transfer.time, needs.credit.time, needs.room.time}), StallState::fill);
  }
  wait(needs.update.time, StallState::optimizer);
  wait(needs.credit.time, StallState::no_credit);
  wait(needs.room.time, StallState::blocked);
  wait(needs.input.time, StallState::starved);
  wait(needs.transfer.time, StallState::transfer);
  wait(needs.order.time, StallState::contended);
  wait(action.ready, StallState::sync);
  spend(action.begin, action.submitted > 0 ? StallState::launch : StallState::contended, visit);
  spend(action.transferred, StallState::transfer, visit);
  spend(action.end, StallState::compute, visit);
}

}  // namespace lenet_flow

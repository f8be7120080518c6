#pragma once

#include "engine/trace/record.h"
#include "engine/trace/states.h"

namespace lenet_flow {

/// Where the time of one stage, or of one device, goes, state by state (README.md here). Every instant of a pass is in
/// exactly one state: an action is compute, and the gap before it is split at the arrivals by the first cause that
/// matches. Takes one unit's (or one device's) actions in the order in which they ran; times only go forward.
class StageClock {
 public:
  /// `entry`: fed by the reader, so that nobody works before its first action of a batch.
  explicit StageClock(bool entry) : entry_(entry) {}

  void begin_pass(Nanoseconds now);
  /// `inference`: batches have no meaning, so only the first action of the pass can be `fill`.
  void add(const ActionRecord& action, bool inference);
  /// What happened up to `until` is not known.
  void unknown(Nanoseconds until);
  /// The rest of the pass is `drain`.
  void end_pass(Nanoseconds now);

  /// Of all passes so far.
  StateSeconds seconds() const;

 private:
  bool entry_;
  Nanoseconds at_ = 0;            ///< all before it is accounted for
  std::int64_t last_batch_ = -1;  ///< of its last action in this pass
  Nanoseconds compute_ = 0, transfer_ = 0, sync_ = 0, blocked_ = 0, starved_ = 0, no_credit_ = 0, contended_ = 0,
              optimizer_ = 0, fill_ = 0, drain_ = 0, unaccounted_ = 0;

  /// Gives the time up to `until` to a state, where it is not given yet.
  void spend(Nanoseconds until, Nanoseconds& state);
};

}  // namespace lenet_flow

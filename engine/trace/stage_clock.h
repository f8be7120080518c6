#pragma once

#include <cstdint>

#include "engine/training/result.h"

namespace lenet_flow {

/// Nanoseconds of the steady clock.
using Nanoseconds = std::int64_t;
Nanoseconds steady_now();

/// When the last of each thing that an action waited for had come; 0: it waited for none of that kind.
struct Arrivals {
  Nanoseconds input = 0;   ///< activations, gradients, pixels
  Nanoseconds credit = 0;  ///< admission
  Nanoseconds room = 0;    ///< in the links downstream, and in the buffers that they read
  Nanoseconds update = 0;  ///< of the parameters, by another replica
  Nanoseconds order = 0;   ///< the action before it on the device had ended
};

/// Where one stage's time goes, state by state (README.md here). Every instant of a pass is in exactly one state: an
/// action is compute, and the gap before it is split at the arrivals by the first cause that matches. Not for several
/// threads at once; times only go forward.
class StageClock {
 public:
  /// `entry`: the stage is fed by the reader, so that nobody works before its first action of a batch.
  explicit StageClock(bool entry) : entry_(entry) {}

  void begin_pass(Nanoseconds now);
  /// An action is ready and asks for its cores. `first_of_batch`: the gap before it lies between two batches (or is
  /// the pass's first); `batch_before_ended`: when the last stage ended the batch before, as far as known, else 0.
  void ready(const Arrivals& arrivals, bool first_of_batch, Nanoseconds batch_before_ended, Nanoseconds now);
  /// It has its cores: what passed since ready() was `contended`.
  void begin_action(Nanoseconds now);
  /// What passed since begin_action() was `transfer`: a copy that the action had to wait for.
  void end_transfer(Nanoseconds now);
  void end_action(Nanoseconds now);
  /// The rest of the pass is `drain`.
  void end_pass(Nanoseconds now);

  /// Of all passes so far.
  StateSeconds seconds() const;

 private:
  bool entry_;
  Nanoseconds at_ = 0;  ///< all before it is accounted for
  Nanoseconds compute_ = 0, transfer_ = 0, sync_ = 0, blocked_ = 0, starved_ = 0, no_credit_ = 0, contended_ = 0,
              optimizer_ = 0, fill_ = 0, drain_ = 0;

  /// Gives the time up to `until` to a state, where it is not given yet.
  void spend(Nanoseconds until, Nanoseconds& state);
};

}  // namespace lenet_flow

#pragma once

#include <cstdint>
#include <string>

#include "engine/pipeline/run_state.h"

namespace lenet_flow {

/// Notices that a pass does not move any more: no action and no read has ended for a time. The caller of a pass looks
/// some times a second; looking costs the devices nothing.
///
/// Trade-off: what has never been seen to end (the first actions of a run) may take a minute, so that a large network's
/// first micro-batch is no alarm; and several looks must agree, so that a machine that slept is none either.
class Watchdog {
 public:
  /// `seconds`: the time; 0: 10 times the slowest action seen so far, at least 1 s.
  Watchdog(const RunState& state, double seconds) : state_(state), seconds_(seconds) {}

  /// For a new pass.
  void begin(Nanoseconds now);
  /// Empty while the pass moves; else what each stage waits for, over which link and for which micro-batch.
  std::string look(Nanoseconds now);
  /// True while an action or a read runs (which might never end).
  bool running() const;

 private:
  std::int64_t ended() const;
  Nanoseconds limit() const;
  std::string account(double seconds) const;

  const RunState& state_;
  double seconds_;
  std::int64_t ended_ = 0;
  Nanoseconds since_ = 0;
  int looks_ = 0;
};

}  // namespace lenet_flow

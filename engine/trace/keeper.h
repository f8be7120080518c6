#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/trace/record.h"

namespace lenet_flow {

/// What was kept of one pass.
struct KeptPass {
  /// A stretch of time of a device.
  struct Stretch {
    int device = 0;
    Nanoseconds from = 0, until = 0;
  };
  PassTrace pass;
  PassEnd end;
  /// Each unit's in the order of running, units interleaved; their `steps` point into `steps`.
  std::vector<ActionRecord> actions;
  std::vector<StepRecord> steps;
  std::vector<Stretch> sleeps;  ///< of its host thread
  std::vector<Stretch> losses;  ///< actions may be missing there: events were lost
  bool whole = true;            ///< false: only the first `actions` of the pass, or events were lost
};

/// Keeps the newest passes' actions in memory, for what looks back: root causes, the report. Of each pass the first
/// actions up to a number.
class Keeper final : public TraceSink {
 public:
  /// `passes`: how many to keep, the newest.
  explicit Keeper(std::size_t passes = 1, std::size_t actions = 50'000) : passes_kept_(passes), most_(actions) {}

  void begin_pass(const PassTrace& pass) override;
  void on_action(const ActionRecord& action) override;
  void on_lost(int device, Nanoseconds from, Nanoseconds until) override;
  void on_sleep(int device, Nanoseconds from, Nanoseconds until) override;
  void end_pass(const PassEnd& end) override;

  /// Oldest first; valid between passes.
  std::span<const KeptPass> passes() const { return passes_; }

 private:
  std::size_t passes_kept_, most_;
  std::vector<KeptPass> passes_;
  std::vector<std::size_t> first_step_;  ///< of each action of the open pass
};

}  // namespace lenet_flow

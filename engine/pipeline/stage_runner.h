#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "engine/pipeline/run_state.h"

namespace lenet_flow {

/// The bodies of one unit's (replica of a stage's) flow-graph nodes: an action is begun, run step by step, and ended.
/// An exception in a step becomes the pass's failure; from then on steps do nothing, while messages go on until all is
/// drained.
class StageRunner {
 public:
  StageRunner(RunState& state, int unit);

  /// Nodes of an action: one a layer, and one for the loss; an update is one. In a stage that recomputes, I and B have
  /// one a layer more, for its forward.
  int steps(ActionKind kind) const;

  /// A step's name in a trace: the layer's, "loss" or "update"; "conv1 (again)" for a forward that is recomputed.
  std::string step_label(ActionKind kind, int step) const;

  /// Takes the device's cores and, for F of an entry stage, the pixels.
  void begin(ActionKind kind, std::int64_t micro_batch, const Arrivals& arrivals);
  void step(ActionKind kind, int step, std::int64_t micro_batch) noexcept;
  /// Gives the cores back and counts. The tokens are to be sent next, then `done` to the own device, then ended().
  Nanoseconds end(ActionKind kind, std::int64_t micro_batch);
  /// Wakes the caller of the pass where it may wait for what has ended.
  void ended(ActionKind kind, std::int64_t micro_batch);

  /// On an asynchronous device AsyncFlow runs an action by these: before its first step (throws where it cannot begin);
  /// each step, seen by a hook first (which may throw); and once it has ended.
  void prepare(ActionKind kind, std::int64_t micro_batch);
  void tell_step(ActionKind kind, int step, std::int64_t micro_batch) const;
  void run_step(ActionKind kind, int step, std::int64_t micro_batch);
  /// When an action was ready, submitted, begun and ended on the device.
  struct AsyncTimes {
    Nanoseconds ready = 0, submitted = 0, begin = 0, end = 0;
  };
  void note_async(ActionKind kind, std::int64_t micro_batch, const Arrivals& arrivals, const AsyncTimes& times);
  /// Takes the loss of a micro-batch from where the device wrote it.
  void finish_loss(const MicroBatch& micro_batch);

  /// "layer 'conv1' (stage 'conv1..pool1', device 'cpu0'), forward of micro-batch 3 of batch 12, epoch 1"; step -1: of
  /// the whole stage.
  std::string where(ActionKind kind, int step, std::int64_t micro_batch) const;
  std::int64_t batch_of(ActionKind kind, std::int64_t micro_batch) const;

  UnitState& unit() { return unit_; }
  const UnitState& unit() const { return unit_; }
  /// "forward of micro-batch 3 of batch 12, epoch 1".
  static std::string action_text(const RunState& state, ActionKind kind, std::int64_t micro_batch);

 private:
  void note(EventType type, ActionKind kind, std::int64_t micro_batch, Nanoseconds time, int detail = -1) const;
  void note_needs(ActionKind kind, std::int64_t micro_batch, const Arrivals& arrivals);
  /// Waits for what comes over a link that is slow on purpose.
  void wait_for_link(ActionKind kind, std::int64_t micro_batch, Nanoseconds arrives);
  /// Makes a step that has just run take as long as injected delays ask.
  void lengthen(ActionKind kind, int step, std::int64_t micro_batch);
  void count(ActionKind kind, std::int64_t micro_batch, Nanoseconds took, Nanoseconds now);
  void run_loss(const MicroBatch& micro_batch);
  bool recomputes(ActionKind kind, int step) const;
  /// The layer of a step, in the stage's order; layers() for the loss.
  int position(ActionKind kind, int step) const;
  std::string_view step_name(ActionKind kind, int step) const;

  RunState& state_;
  UnitState& unit_;
  const StageFacts& stage_;
  DeviceTurn& turn_;
};

}  // namespace lenet_flow

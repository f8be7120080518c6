#pragma once

#include <cstdint>
#include <string_view>

#include "engine/pipeline/run_state.h"

namespace lenet_flow {

/// The bodies of one stage's flow-graph nodes: an action is begun, run step by step, and ended. An exception in a step
/// becomes the pass's failure; from then on steps do nothing, while messages go on until all is drained.
class StageRunner {
 public:
  StageRunner(RunState& state, int stage)
      : state_(state), stage_(*state.stages[static_cast<std::size_t>(stage)]), number_(stage) {}

  /// Nodes of an action: one a layer, and one for the loss; an update is one.
  int steps(ActionKind kind) const;
  /// The tokens that an action of this micro-batch (U: batch) waits for.
  int tokens_needed(ActionKind kind, std::int64_t micro_batch) const;

  /// Takes the device's cores and, for F of an entry stage, the pixels.
  void begin(ActionKind kind, std::int64_t micro_batch, const Arrivals& arrivals);
  void step(ActionKind kind, int step, std::int64_t micro_batch) noexcept;
  /// Gives the cores back and calls send(token) for everything that now is known to others; last for the own device.
  template <typename Send>
  void end(ActionKind kind, std::int64_t micro_batch, Send&& send) {
    const Nanoseconds now = finish();
    if (kind == ActionKind::forward) {
      for (const int to : stage_.to) send(Token{micro_batch, now, to, kind, Cause::input});
      const std::int64_t next = micro_batch + state_.link_capacity;
      if (next < state_.micro_batches_in_pass())
        for (const int from : stage_.from) send(Token{next, now, from, kind, Cause::room});
      if (stage_.entry) release_pixels(micro_batch);
    } else if (kind == ActionKind::backward || kind == ActionKind::input_gradients) {
      for (const int from : stage_.from) send(Token{micro_batch, now, from, gradient_kind(from), Cause::input});
    }
    if (kind == last_kind() && end_micro_batch(micro_batch)) {
      const std::int64_t next = micro_batch + state_.in_flight;
      if (next < state_.micro_batches_in_pass())
        for (std::size_t i = 0; i < state_.stages.size(); ++i)
          if (state_.stages[i]->entry) send(Token{next, now, static_cast<int>(i), ActionKind::forward, Cause::credit});
    }
    send(Token{micro_batch, now, number_, kind, Cause::done});
    if (ends_batch(kind, micro_batch)) end_batch(batch_of(kind, micro_batch), now);
  }

 private:
  std::int64_t batch_of(ActionKind kind, std::int64_t micro_batch) const;
  ActionKind gradient_kind(int stage) const;
  ActionKind last_kind() const;
  bool ends_batch(ActionKind kind, std::int64_t micro_batch) const;
  void run_step(ActionKind kind, int step, std::int64_t micro_batch);
  void run_loss(const MicroBatch& micro_batch);
  std::string_view step_name(ActionKind kind, int step) const;
  std::string where(ActionKind kind, int step, std::int64_t micro_batch) const;
  void release_pixels(std::int64_t micro_batch);
  bool end_micro_batch(std::int64_t micro_batch);
  void end_batch(std::int64_t batch, Nanoseconds now);
  Nanoseconds finish();

  RunState& state_;
  StageState& stage_;
  int number_;
};

}  // namespace lenet_flow

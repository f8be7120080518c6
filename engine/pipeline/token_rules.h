#pragma once

#include <array>
#include <bit>
#include <cstdint>

#include "engine/pipeline/run_state.h"

namespace lenet_flow {

/// What an action waits for, or what of it has come, beside its turn: the rules of check_schedule() as tokens. Of the
/// sets, bit i is the i-th stage in the list of links that the action has to do with.
struct Needs {
  std::uint64_t inputs = 0;  ///< F: of StageFacts::from; I, B: of `to`
  std::uint64_t rooms = 0;   ///< F: of `to`
  std::uint64_t slots = 0;   ///< F: of `to`; I, B: of `from`
  int gradients = 0;         ///< U: actions of other replicas
  bool pixels = false, credit = false, updated = false;

  bool operator==(const Needs&) const = default;
};

/// Links that a stage may have on either side.
inline constexpr std::size_t most_links = 64;

/// The needs of an action of a unit for a micro-batch of the pass (U: a batch).
Needs needs_of(const RunState& state, const UnitState& unit, ActionKind kind, std::int64_t micro_batch);

/// The bit of a token's sender in the set that its cause belongs to.
std::uint64_t sender_bit(const StageFacts& stage, const Token& token);

/// The kind of a unit's last action for a micro-batch of the pass.
ActionKind last_kind(const RunState& state, int stage, std::int64_t micro_batch);

/// Calls send(token) for everything that others may know when an action has ended.
template <typename Send>
void send_tokens(const RunState& state, const UnitState& unit, ActionKind kind, std::int64_t micro_batch,
                 Nanoseconds now, Send&& send) {
  const StageFacts& stage = state.stage(unit.stage);
  const std::int64_t end = state.pass.cut.micro_batches_in_pass();
  const auto token = [&](std::int64_t number, int to, ActionKind what, Cause cause) {
    send(Token{number, now, to, unit.stage, what, cause, cause == Cause::gradients ? micro_batch : -1});
  };
  if (kind == ActionKind::update) {
    const std::int64_t next = micro_batch + 1;
    if (next >= state.pass.cut.batches()) return;
    for (const int other : stage.units) {
      const int first = state.order(next).first_forward[static_cast<std::size_t>(other)];
      if (&*state.units[static_cast<std::size_t>(other)] != &unit && first >= 0)
        token(next * state.pass.cut.micro_batches() + first, unit.stage, ActionKind::forward, Cause::updated);
    }
    return;
  }
  if (kind == ActionKind::forward) {
    for (const int to : stage.to) token(micro_batch, to, kind, Cause::input);
    if (micro_batch + state.link_capacity < end)
      for (const int from : stage.from) token(micro_batch + state.link_capacity, from, kind, Cause::room);
  } else if (kind != ActionKind::parameter_gradients) {
    for (const int from : stage.from) token(micro_batch, from, state.gradient_kind(from, micro_batch), Cause::input);
  }
  if (kind != last_kind(state, unit.stage, micro_batch)) return;
  const bool training = state.pass.mode == Mode::train;
  if (stage.entry && micro_batch + state.in_flight < end)
    token(micro_batch + state.in_flight, unit.stage, ActionKind::forward, Cause::credit);
  // What this stage read of its neighbours for this micro-batch, they may overwrite.
  const auto release = [&](int neighbour, int slots, bool gradients) {
    const ReplicaShare& share = state.stage(neighbour).share;
    const int index = state.pass.cut.index_of(micro_batch);
    const std::int64_t sequence = share.sequence(state.pass.cut.batch_of(micro_batch), index) + slots;
    const std::int64_t next = share.micro_batch(share.replica(index), sequence);
    if (next < end)
      token(next, neighbour, gradients ? state.gradient_kind(neighbour, next) : ActionKind::forward, Cause::slot);
  };
  for (const int from : stage.from) release(from, state.stage(from).slots.outputs, false);
  if (!training) return;
  for (const int to : stage.to) release(to, state.stage(to).slots.gradients, true);
  if (unit.replica > 0) token(state.pass.cut.batch_of(micro_batch), unit.stage, ActionKind::update, Cause::gradients);
}

}  // namespace lenet_flow

#include "engine/pipeline/token_rules.h"

#include <algorithm>

namespace lenet_flow {
namespace {

std::uint64_t all_of(const std::vector<int>& stages) {
  return stages.size() >= most_links ? ~std::uint64_t{0} : (std::uint64_t{1} << stages.size()) - 1;
}

std::uint64_t bit_of(const std::vector<int>& stages, int stage) {
  return std::uint64_t{1} << (std::find(stages.begin(), stages.end(), stage) - stages.begin());
}

}  // namespace

ActionKind last_kind(const RunState& state, int stage, std::int64_t micro_batch) {
  if (state.pass.mode == Mode::infer) return ActionKind::forward;
  return state.gradient_kind(stage, micro_batch) == ActionKind::backward ? ActionKind::backward
                                                                         : ActionKind::parameter_gradients;
}

Needs needs_of(const RunState& state, const UnitState& unit, ActionKind kind, std::int64_t micro_batch) {
  const StageFacts& stage = state.stage(unit.stage);
  const BatchCut& cut = state.pass.cut;
  Needs needs;
  if (kind == ActionKind::update) {
    const int micro_batches = cut.micro_batches(micro_batch), replicas = stage.share.replicas;
    needs.gradients = micro_batches - (micro_batches + replicas - 1) / replicas;
    return needs;
  }
  const std::int64_t batch = cut.batch_of(micro_batch);
  const int index = cut.index_of(micro_batch);
  const std::int64_t sequence = stage.share.sequence(batch, index);
  if (kind == ActionKind::forward) {
    needs.inputs = all_of(stage.from);
    needs.pixels = stage.entry;
    needs.credit = stage.entry && micro_batch >= state.in_flight;
    if (micro_batch >= state.link_capacity) needs.rooms = all_of(stage.to);
    if (sequence >= stage.slots.outputs) needs.slots = all_of(stage.to);
    if (unit.replica > 0 && batch > 0 && state.pass.mode == Mode::train) {
      const int number = stage.units[static_cast<std::size_t>(unit.replica)];
      needs.updated = state.order(batch).first_forward[static_cast<std::size_t>(number)] == index;
    }
  } else if (kind != ActionKind::parameter_gradients) {
    needs.inputs = all_of(stage.to);
    if (sequence >= stage.slots.gradients) needs.slots = all_of(stage.from);
  }
  return needs;
}

std::uint64_t sender_bit(const StageFacts& stage, const Token& token) {
  const bool forward = token.kind == ActionKind::forward;
  switch (token.cause) {
    case Cause::input: return bit_of(forward ? stage.from : stage.to, token.from);
    case Cause::room: return bit_of(stage.to, token.from);
    case Cause::slot: return bit_of(forward ? stage.to : stage.from, token.from);
    default: return 0;
  }
}

}  // namespace lenet_flow

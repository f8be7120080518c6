#include "engine/pipeline/gate.h"

#include <fmt/format.h>

#include <algorithm>

namespace lenet_flow {
namespace {

constexpr auto relaxed = std::memory_order_relaxed;

/// No token comes further ahead of the oldest micro-batch that waits than admission, links, slots and the reader let
/// it.
std::size_t farthest(const RunState& state, const UnitState& unit) {
  const StageFacts& stage = state.stage(unit.stage);
  const int slots = std::max(stage.slots.outputs, stage.slots.gradients) * stage.share.replicas;
  return state.ring.size() +
         static_cast<std::size_t>(state.in_flight + state.link_capacity + slots + 2 * stage.share.micro_batches + 1);
}

}  // namespace

TokenGate::TokenGate(const RunState& state, const UnitState& unit, ActionKind kind)
    : state_(state),
      unit_(unit),
      stage_(state.stage(unit.stage)),
      kind_(kind),
      size_(farthest(state, unit)),
      gathered_(std::make_unique<Gathered[]>(size_)) {}

void TokenGate::reset() {
  for (std::size_t i = 0; i < size_; ++i) gathered_[i].clear();
}

Needs TokenGate::Gathered::needs() const {
  return {.inputs = inputs.load(relaxed),
          .rooms = rooms.load(relaxed),
          .slots = slots.load(relaxed),
          .gradients = gradients.load(relaxed),
          .pixels = pixels.load(relaxed),
          .credit = credit.load(relaxed),
          .updated = updated.load(relaxed)};
}

void TokenGate::Gathered::clear() {
  inputs.store(0, relaxed);
  rooms.store(0, relaxed);
  slots.store(0, relaxed);
  gradients.store(0, relaxed);
  for (std::atomic<bool>* flag : {&pixels, &credit, &updated, &order}) flag->store(false, relaxed);
  arrivals = {};
}

bool TokenGate::add(const Token& token, Arrivals& arrivals) {
  Gathered& gathered = at(token.micro_batch);
  const auto set = [&](std::atomic<std::uint64_t>& bits) {
    bits.store(bits.load(relaxed) | sender_bit(stage_, token), relaxed);
  };
  const auto came = [&](Arrival& latest) {
    if (token.time >= latest.time) latest = {token.time, token.from};
  };
  switch (token.cause) {
    case Cause::input:
      set(gathered.inputs), came(gathered.arrivals.input);
      if (token.arrives > gathered.arrivals.transfer.time) gathered.arrivals.transfer = {token.arrives, token.from};
      break;
    case Cause::pixels:
      gathered.pixels.store(true, relaxed), came(gathered.arrivals.input);
      if (token.arrives > gathered.arrivals.transfer.time) gathered.arrivals.transfer = {token.arrives, token.from};
      break;
    case Cause::room: set(gathered.rooms), came(gathered.arrivals.room); break;
    case Cause::slot: set(gathered.slots), came(gathered.arrivals.room); break;
    case Cause::credit: gathered.credit.store(true, relaxed), came(gathered.arrivals.credit); break;
    case Cause::updated: gathered.updated.store(true, relaxed), came(gathered.arrivals.update); break;
    case Cause::gradients:
      gathered.gradients.store(gathered.gradients.load(relaxed) + 1, relaxed), came(gathered.arrivals.input);
      break;
    case Cause::order: gathered.order.store(true, relaxed), came(gathered.arrivals.order); break;
    case Cause::begin_pass:
    case Cause::done: return false;
  }
  if (!gathered.order.load(relaxed) || gathered.needs() != needs_of(state_, unit_, kind_, token.micro_batch))
    return false;
  arrivals = gathered.arrivals;
  gathered.clear();
  return true;
}

std::vector<std::string> TokenGate::missing(std::int64_t micro_batch) const {
  const Needs have = at(micro_batch).needs(), needed = needs_of(state_, unit_, kind_, micro_batch);
  const bool forward = kind_ == ActionKind::forward, update = kind_ == ActionKind::update;
  const std::string which = update
                                ? fmt::format("batch {}", micro_batch + 1)
                                : fmt::format("micro-batch {} of batch {}", state_.pass.cut.index_of(micro_batch) + 1,
                                              state_.pass.cut.batch_of(micro_batch) + 1);
  const auto name = [&](int stage) { return state_.network.stages[static_cast<std::size_t>(stage)].name; };
  std::vector<std::string> lines;
  const auto links = [&](std::uint64_t missing, const std::vector<int>& others, bool to, auto&& words) {
    for (std::size_t i = 0; i < others.size(); ++i)
      if (missing >> i & 1)
        lines.push_back(words(
            fmt::format("{}->{}", to ? name(unit_.stage) : name(others[i]), to ? name(others[i]) : name(unit_.stage))));
  };
  links(needed.inputs & ~have.inputs, forward ? stage_.from : stage_.to, !forward, [&](const std::string& link) {
    return fmt::format("{} of {} over link '{}'", forward ? "activations" : "gradients", which, link);
  });
  if (needed.pixels && !have.pixels) lines.push_back(fmt::format("images of {} from the reader", which));
  if (needed.credit && !have.credit)
    lines.push_back(fmt::format("the credit of {} ({} are in flight)", which, state_.in_flight));
  links(needed.rooms & ~have.rooms, stage_.to, true, [&](const std::string& link) {
    return fmt::format("room for {} in link '{}' (capacity {})", which, link, state_.link_capacity);
  });
  links(needed.slots & ~have.slots, forward ? stage_.to : stage_.from, forward, [&](const std::string& link) {
    return fmt::format("the release of the buffer for {} of link '{}'", which, link);
  });
  if (needed.updated && !have.updated) lines.push_back(fmt::format("the update before {}", which));
  if (needed.gradients > have.gradients)
    lines.push_back(fmt::format("{} gradients of its other replicas for {}", needed.gradients - have.gradients, which));
  return lines;
}

}  // namespace lenet_flow

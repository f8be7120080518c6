#include "tests/engine/schedule/reference_check.h"

#include <algorithm>
#include <map>
#include <set>

namespace lenet_flow::schedule_cases {
namespace {

using enum ActionKind;

bool every_action_once(const Schedule& schedule, const ScheduleShape& shape) {
  if (static_cast<int>(schedule.size()) != shape.devices) return false;
  std::map<std::string, int> count;
  std::size_t actions = 0;
  for (int device = 0; device < shape.devices; ++device)
    for (const Action& action : schedule[static_cast<std::size_t>(device)]) {
      const bool inside = action.stage >= 0 && action.stage < shape.stages() && action.micro_batch >= 0 &&
                          action.micro_batch < shape.micro_batches;
      if (!inside || (action.kind == update && action.micro_batch != 0) || shape.device_of(action) != device)
        return false;
      ++count[action.text()];
      ++actions;
    }
  std::size_t wanted = 0;
  for (int stage = 0; stage < shape.stages(); ++stage) {
    const auto has = [&](ActionKind kind, int i) { return count[Action{stage, kind, i}.text()]; };
    for (int i = 0; i < shape.micro_batches; ++i) {
      if (has(forward, i) != 1) return false;
      ++wanted;
      if (!shape.training) continue;
      const bool whole = has(backward, i) == 1 && has(input_gradients, i) == 0 && has(parameter_gradients, i) == 0;
      const bool halves = has(backward, i) == 0 && has(input_gradients, i) == 1 && has(parameter_gradients, i) == 1;
      if (!whole && !halves) return false;
      wanted += whole ? 1 : 2;
    }
    if (shape.training && has(update, 0) != 1) return false;
    wanted += shape.training ? 1 : 0;
  }
  return actions == wanted;
}

/// The graph over several batches; micro-batches are counted through all of them.
struct Unrolled {
  const Schedule& schedule;
  const ScheduleShape& shape;
  std::vector<int> sizes;                             // micro-batches of each batch
  std::map<std::pair<int, std::string>, int> number;  // (batch, action) -> node
  std::vector<std::vector<int>> edges;
  std::vector<int> incoming;

  int first_of(int batch) const {
    int first = 0;
    for (int earlier = 0; earlier < batch; ++earlier) first += sizes[static_cast<std::size_t>(earlier)];
    return first;
  }
  /// The node of an action for a micro-batch counted through all batches; -1 where there is none.
  int node(int stage, ActionKind kind, int through_all) const {
    for (int batch = 0; batch < static_cast<int>(sizes.size()); ++batch) {
      const int i = through_all - first_of(batch);
      if (i < 0 || i >= sizes[static_cast<std::size_t>(batch)]) continue;
      const auto found = number.find({batch, Action{stage, kind, i}.text()});
      return found == number.end() ? -1 : found->second;
    }
    return -1;
  }
  int gradients(int stage, int through_all) const {
    return std::max(node(stage, input_gradients, through_all), node(stage, backward, through_all));
  }
  int last(int stage, int through_all) const {
    if (!shape.training) return node(stage, forward, through_all);
    return std::max(node(stage, parameter_gradients, through_all), node(stage, backward, through_all));
  }
  /// The micro-batches of a replica, through all batches, in order.
  std::vector<int> turns_of(int stage, int replica) const {
    std::vector<int> turns;
    for (int batch = 0; batch < static_cast<int>(sizes.size()); ++batch)
      for (int i = 0; i < sizes[static_cast<std::size_t>(batch)]; ++i)
        if (i % shape.replicas(stage) == replica) turns.push_back(first_of(batch) + i);
    return turns;
  }
  void waits(int later, int earlier) {
    if (later < 0 || earlier < 0) return;
    edges[static_cast<std::size_t>(earlier)].push_back(later);
    ++incoming[static_cast<std::size_t>(later)];
  }

  void add_nodes_and_lists() {
    for (int batch = 0; batch < static_cast<int>(sizes.size()); ++batch)
      for (const auto& list : schedule)
        for (const Action& action : list)
          if (action.kind == update || action.micro_batch < sizes[static_cast<std::size_t>(batch)])
            number.emplace(std::pair(batch, action.text()), static_cast<int>(number.size()));
    edges.resize(number.size());
    incoming.assign(number.size(), 0);
    for (const auto& list : schedule) {
      int before = -1;
      for (int batch = 0; batch < static_cast<int>(sizes.size()); ++batch)
        for (const Action& action : list) {
          const auto found = number.find({batch, action.text()});
          if (found == number.end()) continue;
          waits(found->second, before);
          before = found->second;
        }
    }
  }

  void add_data() {
    const int all = first_of(static_cast<int>(sizes.size()));
    for (int g = 0; g < all; ++g) {
      for (const auto& [from, to] : shape.links) {
        waits(node(to, forward, g), node(from, forward, g));
        waits(gradients(from, g), gradients(to, g));
      }
      for (int stage = 0; stage < shape.stages(); ++stage) {
        waits(gradients(stage, g), node(stage, forward, g));
        waits(node(stage, parameter_gradients, g), node(stage, input_gradients, g));
      }
    }
    for (int batch = 0; shape.training && batch < static_cast<int>(sizes.size()); ++batch)
      for (int stage = 0; stage < shape.stages(); ++stage) {
        const int updated = number.at({batch, Action{stage, update, 0}.text()});
        for (int i = 0; i < sizes[static_cast<std::size_t>(batch)]; ++i)
          waits(updated, last(stage, first_of(batch) + i));
        for (int g = first_of(batch + 1); g < all; ++g) waits(node(stage, forward, g), updated);
      }
  }

  void add_bounds(const ScheduleLimits& limits) {
    const int all = first_of(static_cast<int>(sizes.size()));
    for (int stage = 0; stage < shape.stages(); ++stage) {
      std::vector<int> before, after;
      for (const auto& [from, to] : shape.links) {
        if (to == stage) before.push_back(from);
        if (from == stage) after.push_back(to);
      }
      if (before.empty())
        for (int g = limits.in_flight; g < all; ++g) waits(node(stage, forward, g), last(stage, g - limits.in_flight));
      for (const int next : after)
        for (int g = limits.link_capacity; g < all; ++g)
          waits(node(stage, forward, g), node(next, forward, g - limits.link_capacity));
      if (limits.slots.empty()) continue;
      const StageSlots& slots = limits.slots[static_cast<std::size_t>(stage)];
      for (int replica = 0; replica < shape.replicas(stage); ++replica) {
        const std::vector<int> turns = turns_of(stage, replica);
        const auto had = [&](std::size_t turn, int count) { return turns[turn - static_cast<std::size_t>(count)]; };
        for (std::size_t turn = 0; turn < turns.size(); ++turn) {
          if (static_cast<int>(turn) >= slots.activations)
            waits(node(stage, forward, turns[turn]), last(stage, had(turn, slots.activations)));
          for (const int next : after)
            if (static_cast<int>(turn) >= slots.outputs)
              waits(node(stage, forward, turns[turn]), last(next, had(turn, slots.outputs)));
          for (const int previous : before)
            if (shape.training && static_cast<int>(turn) >= slots.gradients)
              waits(gradients(stage, turns[turn]), last(previous, had(turn, slots.gradients)));
        }
      }
    }
  }

  bool acyclic() {
    std::vector<int> ready;
    for (int node = 0; node < static_cast<int>(edges.size()); ++node)
      if (incoming[static_cast<std::size_t>(node)] == 0) ready.push_back(node);
    std::size_t removed = 0;
    while (!ready.empty()) {
      const int node = ready.back();
      ready.pop_back();
      ++removed;
      for (const int next : edges[static_cast<std::size_t>(node)])
        if (--incoming[static_cast<std::size_t>(next)] == 0) ready.push_back(next);
    }
    return removed == edges.size();
  }
};

}  // namespace

bool valid_by_reference(const Schedule& schedule, const ScheduleShape& shape, const ScheduleLimits& limits) {
  if (!every_action_once(schedule, shape)) return false;
  const int whole = shape.micro_batches;
  Unrolled unrolled{schedule, shape, {whole, std::max(1, whole / 2), whole}, {}, {}, {}};
  unrolled.add_nodes_and_lists();
  unrolled.add_data();
  unrolled.add_bounds(limits);
  return unrolled.acyclic();
}

}  // namespace lenet_flow::schedule_cases

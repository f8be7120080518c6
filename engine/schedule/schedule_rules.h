#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/schedule/schedule.h"
#include "engine/schedule/stage_graph.h"

namespace lenet_flow {

/// Why an action waits for another (schedule.h lists the rules).
enum class Rule : std::uint8_t {
  data,              ///< F after F, I after I along a link; I after F, W after I, U after W within a stage
  update,            ///< F after the update of the batch before
  in_flight,         ///< admission
  link_capacity,     ///< a link is full
  output_slots,      ///< no room for what the stage makes
  activation_slots,  ///< no room inside the stage
  gradient_slots,    ///< no room for the gradients that the stage makes
};

/// The rules that order the actions of several batches, each of the shape's number of micro-batches, in one place for
/// the checker and the simulator. Actions have numbers, [0, size()). The schedule must have passed the checks of its
/// single actions; it and the shape must outlive the rules.
class ScheduleRules {
 public:
  ScheduleRules(const Schedule& schedule, const ScheduleShape& shape, const ScheduleLimits& limits, int batches);

  const ScheduleShape& shape() const { return shape_; }
  const StageGraph& graph() const { return graph_; }
  int size() const { return batches_ * stages_ * action_kinds * micro_batches_; }
  int number(const Action& action, int batch) const {
    return ((batch * stages_ + action.stage) * action_kinds + static_cast<int>(action.kind)) * micro_batches_ +
           action.micro_batch;
  }
  Action action(int number) const;
  /// I or B of a stage for a micro-batch.
  Action gradients(int stage, int micro_batch) const;
  /// W, B or, in inference, F: the last action of a stage for a micro-batch.
  Action last(int stage, int micro_batch) const;
  /// How many micro-batches of a batch a replica has.
  int replica_share(int stage, int replica) const {
    const int replicas = shape_.replicas(stage);
    return (micro_batches_ - replica + replicas - 1) / replicas;
  }

  /// Calls visit(number, rule, link) for each action that must have ended before `action` may start, its device's list
  /// left out; `link` is the link that the data crosses, or -1.
  template <typename Visit>
  void needs(const Action& action, int batch, Visit&& visit) const;

  /// " (link capacity 2)", or nothing for Rule::data.
  std::string reason(Rule rule, int stage) const;

 private:
  template <typename Visit>
  void forward_needs(const Action& action, int batch, Visit&& visit) const;
  /// Calls visit(micro_batch, batch) for the micro-batch that had the slot of the same replica before, if there is one.
  template <typename Visit>
  void had_slot_before(const Action& action, int batch, int slots, Visit&& visit) const;

  const ScheduleShape& shape_;
  StageGraph graph_;
  ScheduleLimits limits_;
  int batches_, stages_, micro_batches_;
  std::vector<bool> split_;  ///< by stage and micro-batch: I and W instead of B
};

template <typename Visit>
void ScheduleRules::had_slot_before(const Action& action, int batch, int slots, Visit&& visit) const {
  const int replicas = shape_.replicas(action.stage), replica = action.micro_batch % replicas;
  const int share = replica_share(action.stage, replica);
  const int turn = batch * share + action.micro_batch / replicas - slots;
  if (turn >= 0) visit(turn % share * replicas + replica, turn / share);
}

template <typename Visit>
void ScheduleRules::forward_needs(const Action& action, int batch, Visit&& visit) const {
  const int stage = action.stage, micro_batch = action.micro_batch;
  const auto& before = graph_.before[static_cast<std::size_t>(stage)];
  const auto& after = graph_.after[static_cast<std::size_t>(stage)];
  for (const auto& [other, link] : before)
    visit(number({other, ActionKind::forward, micro_batch}, batch), Rule::data, link);
  if (batch > 0 && shape_.training) visit(number({stage, ActionKind::update, 0}, batch - 1), Rule::update, -1);
  const int through_all = batch * micro_batches_ + micro_batch;
  if (before.empty() && through_all >= limits_.in_flight) {
    const int earlier = through_all - limits_.in_flight;
    visit(number(last(stage, earlier % micro_batches_), earlier / micro_batches_), Rule::in_flight, -1);
  }
  if (!after.empty() && through_all >= limits_.link_capacity) {
    const int earlier = through_all - limits_.link_capacity;
    for (const auto& [other, link] : after)
      visit(number({other, ActionKind::forward, earlier % micro_batches_}, earlier / micro_batches_),
            Rule::link_capacity, -1);
  }
  if (limits_.slots.empty()) return;
  const StageSlots& slots = limits_.slots[static_cast<std::size_t>(stage)];
  if (!after.empty())
    had_slot_before(action, batch, slots.outputs, [&](int earlier, int earlier_batch) {
      for (const auto& [other, link] : after)
        visit(number(last(other, earlier), earlier_batch), Rule::output_slots, -1);
    });
  had_slot_before(action, batch, slots.activations, [&](int earlier, int earlier_batch) {
    visit(number(last(stage, earlier), earlier_batch), Rule::activation_slots, -1);
  });
}

template <typename Visit>
void ScheduleRules::needs(const Action& action, int batch, Visit&& visit) const {
  const int stage = action.stage, micro_batch = action.micro_batch;
  switch (action.kind) {
    case ActionKind::forward: forward_needs(action, batch, visit); break;
    case ActionKind::input_gradients:
    case ActionKind::backward:
      visit(number({stage, ActionKind::forward, micro_batch}, batch), Rule::data, -1);
      for (const auto& [other, link] : graph_.after[static_cast<std::size_t>(stage)])
        visit(number(gradients(other, micro_batch), batch), Rule::data, link);
      if (!limits_.slots.empty() && !graph_.is_entry(stage))
        had_slot_before(action, batch, limits_.slots[static_cast<std::size_t>(stage)].gradients,
                        [&](int earlier, int earlier_batch) {
                          for (const auto& [other, link] : graph_.before[static_cast<std::size_t>(stage)])
                            visit(number(last(other, earlier), earlier_batch), Rule::gradient_slots, -1);
                        });
      break;
    case ActionKind::parameter_gradients:
      visit(number({stage, ActionKind::input_gradients, micro_batch}, batch), Rule::data, -1);
      break;
    case ActionKind::update:
      for (int i = 0; i < micro_batches_; ++i) visit(number(last(stage, i), batch), Rule::data, -1);
      break;
  }
}

/// Plays the batches through, each device in the order of its list, one batch right behind the other. Calls
/// run(device, action, batch) for each action after all that it needs. Returns how many actions each device has run:
/// all, or fewer where they wait on each other. Every action is looked at once and once more each time that it has
/// waited.
template <typename Run>
std::vector<std::size_t> play(const ScheduleRules& rules, const Schedule& schedule, int batches, Run&& run) {
  const std::size_t devices = schedule.size();
  std::vector<std::size_t> position(devices, 0);
  std::vector<bool> done(static_cast<std::size_t>(rules.size()), false);
  std::vector<int> first_waiting(static_cast<std::size_t>(rules.size()), -1), next_waiting(devices, -1);
  std::vector<std::size_t> ready;
  for (std::size_t device = devices; device-- > 0;) ready.push_back(device);
  while (!ready.empty()) {
    const std::size_t device = ready.back();
    ready.pop_back();
    const std::vector<Action>& list = schedule[device];
    while (position[device] < list.size() * static_cast<std::size_t>(batches)) {
      const Action& action = list[position[device] % list.size()];
      const int batch = static_cast<int>(position[device] / list.size());
      int missing = -1;
      rules.needs(action, batch, [&](int number, Rule, int) {
        if (!done[static_cast<std::size_t>(number)]) missing = number;
      });
      if (missing >= 0) {
        next_waiting[device] = first_waiting[static_cast<std::size_t>(missing)];
        first_waiting[static_cast<std::size_t>(missing)] = static_cast<int>(device);
        break;
      }
      run(device, action, batch);
      ++position[device];
      const auto number = static_cast<std::size_t>(rules.number(action, batch));
      done[number] = true;
      for (int waiting = first_waiting[number]; waiting >= 0; waiting = next_waiting[static_cast<std::size_t>(waiting)])
        ready.push_back(static_cast<std::size_t>(waiting));
    }
  }
  return position;
}

}  // namespace lenet_flow

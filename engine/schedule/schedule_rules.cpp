#include "engine/schedule/schedule_rules.h"

namespace lenet_flow {

ScheduleRules::ScheduleRules(const Schedule& schedule, const ScheduleShape& shape, const ScheduleLimits& limits,
                             int batches)
    : shape_(shape),
      graph_(shape),
      limits_(limits),
      batches_(batches),
      stages_(shape.stages()),
      micro_batches_(shape.micro_batches),
      split_(static_cast<std::size_t>(stages_ * micro_batches_), false) {
  for (const auto& list : schedule)
    for (const Action& action : list)
      if (action.kind == ActionKind::input_gradients)
        split_[static_cast<std::size_t>(action.stage * micro_batches_ + action.micro_batch)] = true;
}

Action ScheduleRules::action(int number) const {
  const int micro_batch = number % micro_batches_;
  number /= micro_batches_;
  return {number / action_kinds % stages_, static_cast<ActionKind>(number % action_kinds), micro_batch};
}

Action ScheduleRules::gradients(int stage, int micro_batch) const {
  const bool split = split_[static_cast<std::size_t>(stage * micro_batches_ + micro_batch)];
  return {stage, split ? ActionKind::input_gradients : ActionKind::backward, micro_batch};
}

Action ScheduleRules::last(int stage, int micro_batch) const {
  if (!shape_.training) return {stage, ActionKind::forward, micro_batch};
  const bool split = split_[static_cast<std::size_t>(stage * micro_batches_ + micro_batch)];
  return {stage, split ? ActionKind::parameter_gradients : ActionKind::backward, micro_batch};
}

std::string ScheduleRules::reason(Rule rule, int stage) const {
  const auto slots = [&](int StageSlots::*kind) {
    return std::to_string(limits_.slots[static_cast<std::size_t>(stage)].*kind) + ")";
  };
  switch (rule) {
    case Rule::data: return "";
    case Rule::update: return " (of the batch before)";
    case Rule::in_flight: return " (in flight " + std::to_string(limits_.in_flight) + ")";
    case Rule::link_capacity: return " (link capacity " + std::to_string(limits_.link_capacity) + ")";
    case Rule::output_slots: return " (output slots " + slots(&StageSlots::outputs);
    case Rule::activation_slots: return " (activation slots " + slots(&StageSlots::activations);
    case Rule::gradient_slots: return " (gradient slots " + slots(&StageSlots::gradients);
  }
  return "";
}

}  // namespace lenet_flow

#include "engine/schedule/schedule.h"

#include <algorithm>
#include <set>

namespace lenet_flow {

char letter(ActionKind kind) { return "FIWBU"[static_cast<int>(kind)]; }

const char* meaning(ActionKind kind) {
  switch (kind) {
    case ActionKind::forward: return "forward";
    case ActionKind::input_gradients: return "input gradients";
    case ActionKind::parameter_gradients: return "parameter gradients";
    case ActionKind::backward: return "backward";
    case ActionKind::update: return "update";
  }
  return "";
}

std::string Action::text() const {
  std::string text = std::to_string(stage) + letter(kind);
  if (kind != ActionKind::update) text += std::to_string(micro_batch);
  return text;
}

ActionCosts ActionCosts::equal(const ScheduleShape& shape) {
  return {std::vector<StageCosts>(static_cast<std::size_t>(shape.stages())),
          std::vector<double>(shape.links.size(), 0.0)};
}

double ActionCosts::of(const Action& action) const {
  const StageCosts& costs = stages[static_cast<std::size_t>(action.stage)];
  switch (action.kind) {
    case ActionKind::forward: return costs.forward;
    case ActionKind::input_gradients: return costs.input_gradients;
    case ActionKind::parameter_gradients: return costs.parameter_gradients;
    case ActionKind::backward: return costs.input_gradients + costs.parameter_gradients;
    case ActionKind::update: return costs.update;
  }
  return 0;
}

std::string schedule_text(const std::vector<Action>& actions) {
  std::string text;
  for (const Action& action : actions) {
    if (!text.empty()) text += ',';
    text += action.text();
  }
  return text;
}

Schedule shortened(const Schedule& schedule, int micro_batches) {
  Schedule shorter(schedule);
  for (auto& list : shorter)
    std::erase_if(list, [&](const Action& action) {
      return action.kind != ActionKind::update && action.micro_batch >= micro_batches;
    });
  return shorter;
}

int gradients_held_back(const Schedule& schedule, const ScheduleShape& shape, int stage) {
  if (!shape.training) return 0;
  if (shape.replicas(stage) > 1) return shape.micro_batches;
  int next = 0, most = 0;
  std::set<int> held;
  for (const Action& action :
       schedule[static_cast<std::size_t>(shape.devices_of_stage[static_cast<std::size_t>(stage)][0])]) {
    const bool adds = action.kind == ActionKind::backward || action.kind == ActionKind::parameter_gradients;
    if (action.stage != stage || !adds) continue;
    held.insert(action.micro_batch);
    while (held.erase(next) != 0) ++next;
    most = std::max(most, static_cast<int>(held.size()));
  }
  return most;
}

}  // namespace lenet_flow

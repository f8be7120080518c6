#include "engine/schedule/schedule.h"

namespace lenet_flow {

char letter(ActionKind kind) { return "FIWBU"[static_cast<int>(kind)]; }

std::string Action::text() const {
  std::string text = std::to_string(stage) + letter(kind);
  if (kind != ActionKind::update) text += std::to_string(micro_batch);
  return text;
}

std::string schedule_text(const std::vector<Action>& actions) {
  std::string text;
  for (const Action& action : actions) {
    if (!text.empty()) text += ',';
    text += action.text();
  }
  return text;
}

std::vector<std::string> schedule_names() {
  std::vector<std::string> names;
  for (const ScheduleType& type : schedule_types()) names.push_back(type.name);
  return names;
}

const ScheduleType* find_schedule_type(std::string_view name) {
  for (const ScheduleType& type : schedule_types())
    if (type.name == name) return &type;
  return nullptr;
}

}  // namespace lenet_flow

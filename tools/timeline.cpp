#include "tools/timeline.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace lenet_flow {
namespace {

Style style_of(ActionKind kind) {
  switch (kind) {
    case ActionKind::forward: return Style::blue;
    case ActionKind::backward:
    case ActionKind::input_gradients: return Style::green;
    case ActionKind::parameter_gradients: return Style::cyan;
    case ActionKind::update: return Style::dim;
  }
  return Style::dim;
}

bool several_stages_on_a_device(const ScheduleShape& shape) {
  return std::set<int>(shape.device_of_stage.begin(), shape.device_of_stage.end()).size() <
         shape.device_of_stage.size();
}

std::string label(const Action& action, bool with_stage) {
  return with_stage ? action.text() : fmt::format("{}{}", letter(action.kind), action.micro_batch);
}

/// One device's line; `cell` columns a unit, `units` of them.
std::string row_text(const std::vector<TimedAction>& actions, bool with_stage, std::size_t cell, int units,
                     const Terminal& terminal) {
  std::string idle_cell(cell, ' ');
  idle_cell[0] = '.';
  std::string text;
  int at = 0;
  const auto idle_until = [&](int time) {
    for (; at < std::min(time, units); ++at) text += styled(terminal, Style::dim, idle_cell);
  };
  for (const TimedAction& timed : actions) {
    if (timed.start == timed.end || timed.start >= units) continue;
    idle_until(timed.start);
    const auto columns = static_cast<std::size_t>(std::min(timed.end, units) - timed.start) * cell;
    std::string block = label(timed.action, with_stage);
    block.resize(columns - 1, '-');
    text += styled(terminal, style_of(timed.action.kind), block) + " ";
    at = std::min(timed.end, units);
  }
  idle_until(units);
  return text;
}

}  // namespace

std::string timeline_text(const Schedule& schedule, const ScheduleShape& shape,
                          const std::vector<std::string>& device_names, const Terminal& terminal) {
  const auto timed = play_schedule(schedule, shape);
  const bool with_stage = several_stages_on_a_device(shape);
  std::size_t cell = 2, name_columns = 0;
  int length = 0;
  for (const auto& actions : timed)
    for (const TimedAction& action : actions) {
      cell = std::max(cell, label(action.action, with_stage).size() + 1);
      length = std::max(length, action.end);
    }
  for (const std::string& name : device_names) name_columns = std::max(name_columns, display_width(name));
  const std::size_t columns = static_cast<std::size_t>(terminal.columns);
  const std::size_t room = columns > name_columns + 6 ? (columns - name_columns - 6) / cell : 1;
  const int units = std::min(length, static_cast<int>(std::max<std::size_t>(room, 1)));
  std::string text;
  for (std::size_t device = 0; device < timed.size(); ++device) {
    std::string name = device_names[device];
    name += std::string(name_columns - display_width(name), ' ');
    std::string row = row_text(timed[device], with_stage, cell, units, terminal);
    if (units < length) row += "...";
    row.erase(row.find_last_not_of(' ') + 1);
    text += styled(terminal, Style::bold, name) + "  " + row + "\n";
  }
  return text;
}

}  // namespace lenet_flow

#include "engine/schedule/draw_rows.h"

#include <algorithm>

namespace lenet_flow {

std::vector<DrawnRow> drawn_rows(const Simulation& simulation, const ScheduleShape& shape,
                                 const std::vector<std::string>& stage_names) {
  std::vector<DrawnRow> rows;
  for (int stage = 0; stage < shape.stages(); ++stage) {
    const auto at = static_cast<std::size_t>(stage);
    const std::string name = at < stage_names.size() ? stage_names[at] : "stage " + std::to_string(stage);
    for (int replica = 0; replica < shape.replicas(stage); ++replica) {
      DrawnRow row{shape.replicas(stage) > 1 ? name + "#" + std::to_string(replica) : name, {}};
      const int device = shape.devices_of_stage[at][static_cast<std::size_t>(replica)];
      for (const TimedAction& timed : simulation.devices[static_cast<std::size_t>(device)])
        if (timed.action.stage == stage) row.actions.push_back(timed);
      rows.push_back(std::move(row));
    }
  }
  return rows;
}

double usual_duration(const Simulation& simulation) {
  std::vector<double> durations;
  for (const auto& device : simulation.devices)
    for (const TimedAction& timed : device)
      if (timed.end > timed.start) durations.push_back(timed.end - timed.start);
  if (durations.empty()) return 1;
  const auto middle = durations.begin() + static_cast<std::ptrdiff_t>((durations.size() - 1) / 2);
  std::nth_element(durations.begin(), middle, durations.end());
  return *middle;
}

std::vector<ActionKind> drawn_kinds(const Simulation& simulation) {
  std::vector<ActionKind> kinds;
  for (int kind = 0; kind < action_kinds; ++kind) {
    const auto is_kind = [&](const TimedAction& timed) { return timed.action.kind == static_cast<ActionKind>(kind); };
    if (std::any_of(simulation.devices.begin(), simulation.devices.end(),
                    [&](const auto& device) { return std::any_of(device.begin(), device.end(), is_kind); }))
      kinds.push_back(static_cast<ActionKind>(kind));
  }
  return kinds;
}

}  // namespace lenet_flow

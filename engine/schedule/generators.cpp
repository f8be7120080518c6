// The schedules that ship. To add one: write a function that lists all actions of a batch in one order in which they
// could run one after another, and a line in schedule_types(). Lists cut from one such order cannot deadlock.

#include <algorithm>
#include <set>
#include <tuple>

#include "engine/schedule/schedule.h"

namespace lenet_flow {
namespace {

/// One order for all actions of a batch -> a list a device.
Schedule by_device(const std::vector<Action>& order, const ScheduleShape& shape) {
  Schedule schedule(static_cast<std::size_t>(shape.devices));
  for (const Action& action : order)
    schedule[static_cast<std::size_t>(shape.device_of_stage[static_cast<std::size_t>(action.stage)])].push_back(action);
  return schedule;
}

/// Adds B of `micro_batch` for `stage`, and the stage's update where that was its last.
void add_backward(std::vector<Action>& order, const ScheduleShape& shape, int stage, int micro_batch) {
  order.push_back({stage, ActionKind::backward, micro_batch});
  if (micro_batch + 1 == shape.micro_batches) order.push_back({stage, ActionKind::update, 0});
}

/// One micro-batch after another through all stages: what every other schedule must equal bit for bit.
Schedule sequential(const ScheduleShape& shape) {
  std::vector<Action> order;
  for (int micro_batch = 0; micro_batch < shape.micro_batches; ++micro_batch) {
    for (int stage = 0; stage < shape.stages(); ++stage) order.push_back({stage, ActionKind::forward, micro_batch});
    if (!shape.training) continue;
    for (int stage = shape.stages() - 1; stage >= 0; --stage) add_backward(order, shape, stage, micro_batch);
  }
  return by_device(order, shape);
}

/// All forward, then all backward (Huang et al., "GPipe", NeurIPS 2019). Actions are ordered by the step at which they
/// run when all take equally long: micro-batch + stage, then micro-batch + stages that come after.
Schedule gpipe(const ScheduleShape& shape) {
  std::vector<Action> order;
  const auto wave = [&](auto&& add) {
    for (int step = 0; step < shape.micro_batches + shape.stages() - 1; ++step)
      for (int depth = std::max(0, step - shape.micro_batches + 1); depth <= std::min(step, shape.stages() - 1);
           ++depth)
        add(depth, step - depth);
  };
  wave([&](int depth, int micro_batch) { order.push_back({depth, ActionKind::forward, micro_batch}); });
  if (shape.training)
    wave([&](int depth, int micro_batch) { add_backward(order, shape, shape.stages() - 1 - depth, micro_batch); });
  return by_device(order, shape);
}

/// True where the stages form one chain and each has a device of its own: what the bubble formulas assume.
bool plain_chain(const ScheduleShape& shape) {
  std::set<std::pair<int, int>> links(shape.links.begin(), shape.links.end());
  for (int stage = 0; stage + 1 < shape.stages(); ++stage)
    if (!links.contains({stage, stage + 1})) return false;
  return links.size() + 1 == static_cast<std::size_t>(shape.stages()) &&
         std::set<int>(shape.device_of_stage.begin(), shape.device_of_stage.end()).size() ==
             shape.device_of_stage.size();
}

std::optional<double> sequential_bubble(const ScheduleShape& shape) {
  if (!plain_chain(shape)) return {};
  return 1.0 - 1.0 / shape.stages();
}

/// (p - 1) / (m + p - 1) for p stages and m micro-batches (GPipe, section 2.3).
std::optional<double> gpipe_bubble(const ScheduleShape& shape) {
  if (!plain_chain(shape)) return {};
  return (shape.stages() - 1.0) / (shape.micro_batches + shape.stages() - 1.0);
}

}  // namespace

const std::vector<ScheduleType>& schedule_types() {
  static const std::vector<ScheduleType> types{
      {"gpipe", "all forward, then all backward; micro-batches overlap across stages", gpipe,
       [](const ScheduleShape& shape) {
         return shape.training ? shape.micro_batches : std::min(shape.micro_batches, shape.stages() + 1);
       },
       gpipe_bubble},
      {"sequential", "one micro-batch after another through all stages; the reference for exactness", sequential,
       [](const ScheduleShape&) { return 1; }, sequential_bubble},
  };
  return types;
}

}  // namespace lenet_flow

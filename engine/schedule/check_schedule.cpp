#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "engine/schedule/schedule.h"

namespace lenet_flow {
namespace {

using Key = std::tuple<int, ActionKind, int>;  // stage, kind, micro-batch counted through all batches

/// Plays a schedule through, action by action, each device in its order. `start` is called for each action that may
/// run; the player knows only what must have been done before.
class Player {
 public:
  Player(const Schedule& schedule, const ScheduleShape& shape, const ScheduleLimits& limits, int batches)
      : schedule_(schedule), shape_(shape), limits_(limits), batches_(batches), position_(schedule.size(), 0) {
    std::set<int> fed;
    for (const auto& [from, to] : shape.links) fed.insert(to);
    for (int stage = 0; stage < shape.stages(); ++stage)
      if (!fed.contains(stage)) entries_.insert(stage);
    for (const auto& actions : schedule)
      for (const Action& action : actions)
        if (action.kind == ActionKind::input_gradients) split_.insert(action.stage);
  }

  /// Runs all batches; calls run(device, action, needed) for each action, with everything it waited for.
  /// Returns false where it stopped short.
  template <typename Run>
  bool play(Run&& run) {
    for (bool moved = true; moved;) {
      moved = false;
      for (std::size_t device = 0; device < schedule_.size(); ++device) {
        while (!finished(device)) {
          const Action action = next(device);
          const auto needed = needs(action);
          if (std::any_of(needed.begin(), needed.end(), [&](const Key& key) { return !done_.contains(key); })) break;
          done_.insert({action.stage, action.kind, action.micro_batch});
          run(device, action, needed);
          ++position_[device];
          moved = true;
        }
      }
    }
    for (std::size_t device = 0; device < schedule_.size(); ++device)
      if (!finished(device)) return false;
    return true;
  }

  /// After play() returned false: "device 0 waits at 0F2 for 1F0".
  std::vector<std::string> stuck() const {
    std::vector<std::string> lines;
    for (std::size_t device = 0; device < schedule_.size(); ++device) {
      if (finished(device)) continue;
      const Action action = next(device);
      for (const auto& [stage, kind, micro_batch] : needs(action)) {
        if (done_.contains({stage, kind, micro_batch})) continue;
        lines.push_back("deadlock: device " + std::to_string(device) + " waits at " + action.text() + " for " +
                        Action{stage, kind, micro_batch}.text());
        break;
      }
    }
    return lines;
  }

 private:
  bool finished(std::size_t device) const {
    return position_[device] >= schedule_[device].size() * static_cast<std::size_t>(batches_);
  }
  /// The next action of a device, its micro-batch counted through all batches.
  Action next(std::size_t device) const {
    const std::size_t length = schedule_[device].size();
    Action action = schedule_[device][position_[device] % length];
    action.micro_batch += static_cast<int>(position_[device] / length) * shape_.micro_batches;
    return action;
  }
  ActionKind gradients(int stage) const {
    return split_.contains(stage) ? ActionKind::input_gradients : ActionKind::backward;
  }
  ActionKind last(int stage) const {
    if (!shape_.training) return ActionKind::forward;
    return split_.contains(stage) ? ActionKind::parameter_gradients : ActionKind::backward;
  }
  /// What must be done before an action may run, the device's own order left out.
  std::vector<Key> needs(const Action& action) const {
    std::vector<Key> keys;
    const auto& [stage, kind, micro_batch] = action;
    if (kind == ActionKind::forward) {
      for (const auto& [from, to] : shape_.links) {
        if (to == stage) keys.push_back({from, kind, micro_batch});
        if (from == stage && micro_batch >= limits_.link_capacity)
          keys.push_back({to, kind, micro_batch - limits_.link_capacity});
      }
      if (entries_.contains(stage) && micro_batch >= limits_.in_flight)
        for (int other = 0; other < shape_.stages(); ++other)
          keys.push_back({other, last(other), micro_batch - limits_.in_flight});
    } else if (kind == ActionKind::backward || kind == ActionKind::input_gradients) {
      keys.push_back({stage, ActionKind::forward, micro_batch});
      for (const auto& [from, to] : shape_.links)
        if (from == stage) keys.push_back({to, gradients(to), micro_batch});
    } else if (kind == ActionKind::parameter_gradients) {
      keys.push_back({stage, ActionKind::input_gradients, micro_batch});
    } else {
      for (int i = 0; i < shape_.micro_batches; ++i) keys.push_back({stage, last(stage), micro_batch + i});
    }
    return keys;
  }

  const Schedule& schedule_;
  const ScheduleShape& shape_;
  ScheduleLimits limits_;
  int batches_;
  std::vector<std::size_t> position_;
  std::set<int> entries_, split_;
  std::set<Key> done_;
};

/// Each action exactly once, on its stage's device.
std::vector<std::string> check_actions(const Schedule& schedule, const ScheduleShape& shape) {
  std::vector<std::string> problems;
  if (schedule.size() != static_cast<std::size_t>(shape.devices))
    return {"the schedule has " + std::to_string(schedule.size()) + " lists, one a device would be " +
            std::to_string(shape.devices)};
  std::map<Key, int> count;
  std::set<int> split;
  for (std::size_t device = 0; device < schedule.size(); ++device) {
    for (const Action& action : schedule[device]) {
      if (action.stage < 0 || action.stage >= shape.stages() || action.micro_batch < 0 ||
          action.micro_batch >= shape.micro_batches || (!shape.training && action.kind != ActionKind::forward)) {
        problems.push_back(action.text() + ": there is no such action");
        continue;
      }
      if (shape.device_of_stage[static_cast<std::size_t>(action.stage)] != static_cast<int>(device))
        problems.push_back(action.text() + " stands in the list of device " + std::to_string(device));
      if (action.kind == ActionKind::input_gradients) split.insert(action.stage);
      if (++count[{action.stage, action.kind, action.micro_batch}] == 2)
        problems.push_back(action.text() + " stands there twice");
    }
  }
  const auto expect = [&](int stage, ActionKind kind, int micro_batch, bool wanted) {
    const bool there = count.contains({stage, kind, micro_batch});
    const std::string text = Action{stage, kind, micro_batch}.text();
    if (wanted && !there) problems.push_back(text + " is missing");
    if (!wanted && there) problems.push_back(text + ": a stage has either B, or I and W");
  };
  for (int stage = 0; stage < shape.stages(); ++stage) {
    const bool halves = split.contains(stage);
    for (int i = 0; i < shape.micro_batches; ++i) {
      expect(stage, ActionKind::forward, i, true);
      expect(stage, ActionKind::backward, i, shape.training && !halves);
      expect(stage, ActionKind::input_gradients, i, shape.training && halves);
      expect(stage, ActionKind::parameter_gradients, i, shape.training && halves);
    }
    expect(stage, ActionKind::update, 0, shape.training);
  }
  return problems;
}

}  // namespace

std::vector<std::string> check_schedule(const Schedule& schedule, const ScheduleShape& shape,
                                        const ScheduleLimits& limits) {
  std::vector<std::string> problems = check_actions(schedule, shape);
  if (!problems.empty()) return problems;
  Player player(schedule, shape, limits, 3);
  if (!player.play([](std::size_t, const Action&, const std::vector<Key>&) {})) return player.stuck();
  return {};
}

int gradients_held_back(const Schedule& schedule, int stage) {
  int next = 0, most = 0;
  std::set<int> held;
  for (const auto& actions : schedule) {
    for (const Action& action : actions) {
      if (action.stage != stage ||
          (action.kind != ActionKind::backward && action.kind != ActionKind::parameter_gradients))
        continue;
      held.insert(action.micro_batch);
      while (held.erase(next)) ++next;
      most = std::max(most, static_cast<int>(held.size()));
    }
  }
  return most;
}

std::vector<std::vector<TimedAction>> play_schedule(const Schedule& schedule, const ScheduleShape& shape) {
  std::vector<std::vector<TimedAction>> played(schedule.size());
  std::map<Key, int> ended;
  Player player(schedule, shape, {shape.micro_batches, shape.micro_batches}, 1);
  player.play([&](std::size_t device, const Action& action, const std::vector<Key>& needed) {
    int start = played[device].empty() ? 0 : played[device].back().end;
    for (const Key& key : needed) start = std::max(start, ended[key]);
    const int length = action.kind == ActionKind::update ? 0 : action.kind == ActionKind::backward ? 2 : 1;
    played[device].push_back({action, start, start + length});
    ended[{action.stage, action.kind, action.micro_batch}] = start + length;
  });
  return played;
}

}  // namespace lenet_flow

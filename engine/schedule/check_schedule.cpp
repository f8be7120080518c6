#include <algorithm>

#include "engine/schedule/schedule.h"
#include "engine/schedule/schedule_rules.h"

namespace lenet_flow {
namespace {

bool exists(const Action& action, const ScheduleShape& shape) {
  if (action.stage < 0 || action.stage >= shape.stages() || action.micro_batch < 0) return false;
  if (action.kind == ActionKind::update) return shape.training && action.micro_batch == 0;
  return action.micro_batch < shape.micro_batches && (shape.training || action.kind == ActionKind::forward);
}

/// How often each action stands in the lists, by stage, kind and micro-batch.
class Counts {
 public:
  explicit Counts(const ScheduleShape& shape)
      : micro_batches_(shape.micro_batches),
        counts_(static_cast<std::size_t>(shape.stages() * action_kinds * shape.micro_batches), 0) {}
  int& operator[](const Action& action) {
    return counts_[static_cast<std::size_t>(
        (action.stage * action_kinds + static_cast<int>(action.kind)) * micro_batches_ + action.micro_batch)];
  }

 private:
  int micro_batches_;
  std::vector<int> counts_;
};

/// What a stage must do for a micro-batch and does not: F, and B or both I and W.
void check_micro_batch(Counts& counts, const ScheduleShape& shape, int stage, int micro_batch,
                       std::vector<std::string>& problems) {
  const auto of = [&](ActionKind kind) { return Action{stage, kind, micro_batch}; };
  const auto expect = [&](ActionKind kind) {
    if (counts[of(kind)] == 0) problems.push_back(of(kind).text() + " is missing");
  };
  expect(ActionKind::forward);
  if (!shape.training) return;
  const bool whole = counts[of(ActionKind::backward)] > 0;
  const bool inputs = counts[of(ActionKind::input_gradients)] > 0;
  const bool parameters = counts[of(ActionKind::parameter_gradients)] > 0;
  if (whole && (inputs || parameters))
    problems.push_back(of(ActionKind::backward).text() + " and " +
                       of(inputs ? ActionKind::input_gradients : ActionKind::parameter_gradients).text() +
                       ": a micro-batch has either B, or I and W");
  else if (!whole && !inputs && !parameters)
    problems.push_back(of(ActionKind::backward).text() + " is missing (or " + of(ActionKind::input_gradients).text() +
                       " and " + of(ActionKind::parameter_gradients).text() + ")");
  else if (!whole) {
    expect(ActionKind::input_gradients);
    expect(ActionKind::parameter_gradients);
  }
}

/// Every action exactly once, on its own device.
std::vector<std::string> check_actions(const Schedule& schedule, const ScheduleShape& shape) {
  if (schedule.size() != static_cast<std::size_t>(shape.devices))
    return {"the schedule has " + std::to_string(schedule.size()) + " lists, one a device would be " +
            std::to_string(shape.devices)};
  std::vector<std::string> problems;
  Counts counts(shape);
  for (std::size_t device = 0; device < schedule.size(); ++device) {
    for (const Action& action : schedule[device]) {
      if (!exists(action, shape)) {
        problems.push_back(action.text() + ": there is no such action");
        continue;
      }
      if (shape.device_of(action) != static_cast<int>(device))
        problems.push_back(action.text() + " stands in the list of device " + std::to_string(device) +
                           ", it runs on device " + std::to_string(shape.device_of(action)));
      if (++counts[action] == 2) problems.push_back(action.text() + " stands there twice");
    }
  }
  for (int stage = 0; stage < shape.stages(); ++stage) {
    for (int i = 0; i < shape.micro_batches; ++i) check_micro_batch(counts, shape, stage, i, problems);
    const Action update{stage, ActionKind::update, 0};
    if (shape.training && counts[update] == 0) problems.push_back(update.text() + " is missing");
  }
  return problems;
}

/// Bounds under which nothing could run.
std::vector<std::string> check_limits(const ScheduleShape& shape, const ScheduleLimits& limits) {
  std::vector<std::string> problems;
  if (limits.in_flight < 1) problems.push_back("in flight must be at least 1");
  if (limits.link_capacity < 1) problems.push_back("link capacity must be at least 1");
  if (!limits.slots.empty() && limits.slots.size() != static_cast<std::size_t>(shape.stages()))
    problems.push_back("there must be slots for every stage");
  for (const StageSlots& slots : limits.slots)
    if (slots.activations < 1 || slots.outputs < 1 || slots.gradients < 1)
      problems.push_back("a stage must have at least one slot of each kind");
  return problems;
}

/// Names the cycles of devices that wait on each other, after play() has come to a stop.
class Deadlocks {
 public:
  Deadlocks(const ScheduleRules& rules, const Schedule& schedule, const std::vector<std::size_t>& position)
      : rules_(rules), schedule_(schedule), position_(position), done_(static_cast<std::size_t>(rules.size()), false) {
    for (std::size_t device = 0; device < schedule.size(); ++device)
      for (std::size_t i = 0; i < position[device]; ++i) done_[number(schedule[device][i])] = true;
  }

  std::vector<std::string> lines() const {
    std::vector<std::string> lines;
    std::vector<std::size_t> seen_from(schedule_.size(), schedule_.size());  // where the walk that saw a device began
    for (std::size_t start = 0; start < schedule_.size(); ++start) {
      std::size_t device = start;
      while (position_[device] < schedule_[device].size() && seen_from[device] == schedule_.size()) {
        seen_from[device] = start;
        device = waits_for(device).device;
      }
      if (position_[device] < schedule_[device].size() && seen_from[device] == start) lines.push_back(cycle(device));
    }
    return lines;
  }

 private:
  struct Wait {
    Action action;
    Rule rule;
    std::size_t device;  ///< whose list the action stands in
  };

  std::size_t number(const Action& action) const { return static_cast<std::size_t>(rules_.number(action, 0)); }
  const Action& next(std::size_t device) const { return schedule_[device][position_[device]]; }

  /// What the device's next action waits for.
  Wait waits_for(std::size_t device) const {
    Wait wait{{}, Rule::data, schedule_.size()};
    rules_.needs(next(device), 0, [&](int needed, Rule rule, int) {
      if (done_[static_cast<std::size_t>(needed)] || wait.device != schedule_.size()) return;
      const Action action = rules_.action(needed);
      wait = {action, rule, static_cast<std::size_t>(rules_.shape().device_of(action))};
    });
    return wait;
  }

  std::string cycle(std::size_t first) const {
    std::string text = "deadlock: " + next(first).text();
    for (std::size_t device = first;;) {
      const Wait wait = waits_for(device);
      text += " waits for " + wait.action.text() + rules_.reason(wait.rule, next(device).stage);
      if (wait.action != next(wait.device)) text += ", which stands behind " + next(wait.device).text();
      device = wait.device;
      if (device == first) return text;
      text += ", which";
    }
  }

  const ScheduleRules& rules_;
  const Schedule& schedule_;
  const std::vector<std::size_t>& position_;
  std::vector<bool> done_;
};

}  // namespace

// One batch is enough to find every deadlock. No action waits for one of a later batch, and in each list the batches
// follow each other, so a batch ends whatever comes after it, and what an action waits for in earlier batches is done
// once those have ended. Within a batch the rules know differences of micro-batches alone, the same in each. A short
// batch has some of the actions, and no order between those that the whole batch does not have.
std::vector<std::string> check_schedule(const Schedule& schedule, const ScheduleShape& shape,
                                        const ScheduleLimits& limits) {
  std::vector<std::string> problems = check_actions(schedule, shape);
  if (problems.empty()) problems = check_limits(shape, limits);
  if (!problems.empty()) return problems;
  const ScheduleRules rules(schedule, shape, limits, 1);
  const auto position = play(rules, schedule, 1, [](std::size_t, const Action&, int) {});
  return Deadlocks(rules, schedule, position).lines();
}

std::vector<double> peak_bytes(const Schedule& schedule, const ScheduleShape& shape, const MemoryLimits& memory) {
  std::vector<double> peaks(schedule.size(), 0.0);
  if (memory.micro_batch_bytes.empty() && memory.fixed_bytes.empty()) return peaks;
  const auto of_stage = [](const std::vector<double>& bytes, int stage) {
    return bytes.empty() ? 0.0 : bytes[static_cast<std::size_t>(stage)];
  };
  for (std::size_t device = 0; device < schedule.size(); ++device) {
    double fixed = 0, held = 0, most = 0;
    for (int stage = 0; stage < shape.stages(); ++stage) {
      const auto& devices = shape.devices_of_stage[static_cast<std::size_t>(stage)];
      if (std::find(devices.begin(), devices.end(), static_cast<int>(device)) != devices.end())
        fixed += of_stage(memory.fixed_bytes, stage);
    }
    for (const Action& action : schedule[device]) {
      const double bytes = of_stage(memory.micro_batch_bytes, action.stage);
      if (action.kind == ActionKind::forward) most = std::max(most, held += bytes);
      const bool releases = action.kind == ActionKind::backward || action.kind == ActionKind::parameter_gradients;
      if (releases || !shape.training) held -= bytes;
    }
    peaks[device] = fixed + most;
  }
  return peaks;
}

std::vector<std::string> check_memory(const Schedule& schedule, const ScheduleShape& shape,
                                      const MemoryLimits& memory) {
  std::vector<std::string> problems;
  const std::vector<double> peaks = peak_bytes(schedule, shape, memory);
  for (std::size_t device = 0; device < std::min(peaks.size(), memory.device_bytes.size()); ++device)
    if (peaks[device] > memory.device_bytes[device])
      problems.push_back("device " + std::to_string(device) + " needs " +
                         std::to_string(static_cast<long long>(peaks[device])) + " bytes, it has " +
                         std::to_string(static_cast<long long>(memory.device_bytes[device])));
  return problems;
}

}  // namespace lenet_flow

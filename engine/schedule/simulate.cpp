#include "engine/schedule/simulate.h"

#include <algorithm>
#include <limits>
#include <stdexcept>

#include "engine/schedule/schedule_rules.h"

namespace lenet_flow {
namespace {

/// When each action starts and ends, by ScheduleRules::number().
struct Times {
  std::vector<double> start, end;
};

/// The smallest n with which item s never starts before item s - n has ended.
int slots_filled(const std::vector<double>& starts, const std::vector<double>& ends) {
  std::vector<double> all_ended(ends);
  for (std::size_t i = 1; i < all_ended.size(); ++i) all_ended[i] = std::max(all_ended[i], all_ended[i - 1]);
  std::size_t slots = 1;
  for (std::size_t i = 0; i < starts.size(); ++i)
    while (slots <= i && all_ended[i - slots] > starts[i]) ++slots;
  return static_cast<int>(slots);
}

/// Reads off how many micro-batches are held at one time.
class Peaks {
 public:
  Peaks(const ScheduleRules& rules, const Times& times, int batches)
      : rules_(rules), times_(times), batches_(batches) {}

  StageSlots slots(int stage) const {
    const auto& before = rules_.graph().before[static_cast<std::size_t>(stage)];
    const auto& after = rules_.graph().after[static_cast<std::size_t>(stage)];
    const bool training = rules_.shape().training;
    StageSlots slots;
    for (int replica = 0; replica < rules_.shape().replicas(stage); ++replica) {
      const auto forward = [&](int i, int batch) { return start({stage, ActionKind::forward, i}, batch); };
      const auto filled = [&](auto&& begin, auto&& finish) {
        return of_replica(rules_.shape().replicas(stage), replica, begin, finish);
      };
      slots.activations = std::max(
          slots.activations, filled(forward, [&](int i, int batch) { return end(rules_.last(stage, i), batch); }));
      slots.outputs =
          std::max(slots.outputs, filled(forward, [&](int i, int batch) { return last_end(after, i, batch); }));
      if (training)
        slots.gradients =
            std::max(slots.gradients, filled([&](int i, int batch) { return start(rules_.gradients(stage, i), batch); },
                                             [&](int i, int batch) { return last_end(before, i, batch); }));
    }
    return slots;
  }

  int in_flight() const {
    int most = 1;
    for (int stage = 0; stage < rules_.shape().stages(); ++stage)
      if (rules_.graph().is_entry(stage))
        most = std::max(most, of_replica(
                                  1, 0,
                                  [&](int i, int batch) {
                                    return start({stage, ActionKind::forward, i}, batch);
                                  },
                                  [&](int i, int batch) { return end(rules_.last(stage, i), batch); }));
    return most;
  }

  int link_load(int from, int to) const {
    return of_replica(
        1, 0,
        [&](int i, int batch) {
          return start({from, ActionKind::forward, i}, batch);
        },
        [&](int i, int batch) {
          return end({to, ActionKind::forward, i}, batch);
        });
  }

 private:
  double start(const Action& action, int batch) const {
    return times_.start[static_cast<std::size_t>(rules_.number(action, batch))];
  }
  double end(const Action& action, int batch) const {
    return times_.end[static_cast<std::size_t>(rules_.number(action, batch))];
  }
  double last_end(const std::vector<StageGraph::Neighbour>& stages, int micro_batch, int batch) const {
    double latest = 0;
    for (const auto& [stage, link] : stages) latest = std::max(latest, end(rules_.last(stage, micro_batch), batch));
    return latest;
  }
  /// slots_filled() over the micro-batches of one of `replicas` replicas, through all batches.
  template <typename Begin, typename Finish>
  int of_replica(int replicas, int replica, Begin&& begin, Finish&& finish) const {
    std::vector<double> starts, ends;
    for (int batch = 0; batch < batches_; ++batch)
      for (int i = replica; i < rules_.shape().micro_batches; i += replicas) {
        starts.push_back(begin(i, batch));
        ends.push_back(finish(i, batch));
      }
    return slots_filled(starts, ends);
  }

  const ScheduleRules& rules_;
  const Times& times_;
  int batches_;
};

/// Runs the batches; fills simulation.devices and returns the times.
Times run(const ScheduleRules& rules, const Schedule& schedule, const ActionCosts& costs, int batches,
          Simulation& simulation) {
  const ScheduleShape& shape = rules.shape();
  Times times{std::vector<double>(static_cast<std::size_t>(rules.size()), 0.0),
              std::vector<double>(static_cast<std::size_t>(rules.size()), 0.0)};
  play(rules, schedule, batches, [&](std::size_t device, const Action& action, int batch) {
    auto& row = simulation.devices[device];
    double start = row.empty() ? 0.0 : row.back().end;
    rules.needs(action, batch, [&](int number, Rule, int link) {
      double there = times.end[static_cast<std::size_t>(number)];
      if (link >= 0 && shape.device_of(rules.action(number)) != static_cast<int>(device))
        there += costs.transfers[static_cast<std::size_t>(link)];
      start = std::max(start, there);
    });
    const auto number = static_cast<std::size_t>(rules.number(action, batch));
    times.start[number] = start;
    times.end[number] = start + costs.of(action);
    row.push_back({action, batch, times.start[number], times.end[number]});
  });
  return times;
}

/// Length, busy times and bubbles, from the timed lists.
void sum_up(const ScheduleShape& shape, Simulation& simulation) {
  double first = std::numeric_limits<double>::infinity(), last = 0;
  for (const auto& row : simulation.devices)
    if (!row.empty()) {
      first = std::min(first, row.front().start);
      last = std::max(last, row.back().end);
    }
  simulation.length = last > first ? last - first : 0;
  simulation.device_busy.assign(simulation.devices.size(), 0.0);
  simulation.stage_busy.assign(static_cast<std::size_t>(shape.stages()), 0.0);
  simulation.device_bubble.assign(simulation.devices.size(), 0.0);
  double busy = 0;
  int used = 0;
  for (std::size_t device = 0; device < simulation.devices.size(); ++device) {
    for (const TimedAction& timed : simulation.devices[device]) {
      simulation.device_busy[device] += timed.end - timed.start;
      simulation.stage_busy[static_cast<std::size_t>(timed.action.stage)] += timed.end - timed.start;
    }
    const bool has_stage =
        std::any_of(shape.devices_of_stage.begin(), shape.devices_of_stage.end(), [&](const std::vector<int>& devices) {
          return std::find(devices.begin(), devices.end(), static_cast<int>(device)) != devices.end();
        });
    if (!has_stage || simulation.length <= 0) continue;
    busy += simulation.device_busy[device];
    ++used;
    simulation.device_bubble[device] = 1 - simulation.device_busy[device] / simulation.length;
  }
  if (used > 0) simulation.bubble = 1 - busy / (used * simulation.length);
}

}  // namespace

Simulation simulate(const Schedule& schedule, const ScheduleShape& shape, const ActionCosts& costs,
                    const ScheduleLimits& limits, int batches, const MemoryLimits& memory) {
  const std::vector<std::string> problems = check_schedule(schedule, shape, limits);
  if (!problems.empty()) throw std::logic_error("simulate: " + problems.front());
  if (batches < 1) throw std::logic_error("simulate: there must be a batch");
  const ScheduleRules rules(schedule, shape, limits, batches);
  Simulation simulation;
  simulation.devices.resize(schedule.size());
  const Times times = run(rules, schedule, costs, batches, simulation);
  sum_up(shape, simulation);
  const Peaks peaks(rules, times, batches);
  for (int stage = 0; stage < shape.stages(); ++stage) simulation.peak_slots.push_back(peaks.slots(stage));
  simulation.peak_in_flight = peaks.in_flight();
  for (const auto& [from, to] : shape.links) simulation.peak_link_load.push_back(peaks.link_load(from, to));
  if (!memory.micro_batch_bytes.empty() || !memory.fixed_bytes.empty())
    simulation.device_peak_bytes = peak_bytes(schedule, shape, memory);
  return simulation;
}

ScheduleLimits unbounded() {
  constexpr int none = std::numeric_limits<int>::max();
  return {none, none, {}};
}

ScheduleLimits natural_limits(const Schedule& schedule, const ScheduleShape& shape, int in_flight, int link_capacity,
                              const ActionCosts& costs) {
  ScheduleLimits limits = unbounded();
  if (!shape.training) {
    limits.link_capacity = StageGraph(shape).longest_jump() + 1;
    if (!check_schedule(schedule, shape, limits).empty())
      limits = unbounded();  // a custom order that runs farther ahead
  }
  ScheduleLimits asked = limits;
  if (in_flight != 0) asked.in_flight = in_flight;
  if (link_capacity != 0) asked.link_capacity = link_capacity;
  if (check_schedule(schedule, shape, asked).empty()) limits = asked;
  // Three batches: what a stage made in one may still be read when it begins the next.
  const Simulation simulation =
      simulate(schedule, shape, costs.stages.empty() ? ActionCosts::equal(shape) : costs, limits, 3);
  limits.in_flight = in_flight != 0 ? in_flight : simulation.peak_in_flight;
  limits.slots = simulation.peak_slots;
  if (link_capacity != 0)
    limits.link_capacity = link_capacity;
  else if (shape.training || limits.link_capacity == unbounded().link_capacity) {
    limits.link_capacity = simulation.peak_in_flight;
    for (const int load : simulation.peak_link_load) limits.link_capacity = std::max(limits.link_capacity, load);
  }
  return limits;
}

}  // namespace lenet_flow

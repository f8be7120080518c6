#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>

#include "engine/schedule/simulate.h"
#include "engine/trace/causes/diagnosis.h"
#include "engine/trace/causes/walk.h"

namespace lenet_flow {
namespace {

/// A cause that costs less of the time is not worth a line of its own.
constexpr double worth_saying = 0.03;

std::string percent(double share) { return fmt::format("{:.0f}%", 100 * share); }
std::string microseconds(double seconds) {
  return seconds < 9.5e-6 ? fmt::format("{:.1f} us", seconds * 1e6) : fmt::format("{:.0f} us", seconds * 1e6);
}

/// Seconds a batch that the layers of each stage take, in the order of running; the loss counts with the layer before.
class LayerLoads {
 public:
  explicit LayerLoads(const PassGraph& graph) : names_(graph.pipeline().stages.size()), loads_(names_.size()) {
    for (const TracedPipeline::Unit& unit : graph.pipeline().units) {
      auto& names = names_[static_cast<std::size_t>(unit.stage)];
      if (unit.replica > 0) continue;
      for (const std::string& step : unit.steps[static_cast<int>(ActionKind::forward)])
        if (step != "loss") names.push_back(step);
      loads_[static_cast<std::size_t>(unit.stage)].assign(names.size(), 0);
    }
    for (std::size_t i = 0; i < graph.size(); ++i) add(graph, i);
    for (auto& of_stage : loads_)
      for (double& load : of_stage) load /= static_cast<double>(graph.batches());
  }
  const std::vector<std::string>& names(int stage) const { return names_[static_cast<std::size_t>(stage)]; }
  const std::vector<double>& loads(int stage) const { return loads_[static_cast<std::size_t>(stage)]; }

 private:
  void add(const PassGraph& graph, std::size_t i) {
    const ActionRecord& record = graph.action(i);
    if (record.kind == ActionKind::update) return;
    const TracedPipeline::Unit& unit = graph.unit_of(i);
    const auto stage = static_cast<std::size_t>(unit.stage);
    const auto& steps = unit.steps[static_cast<int>(record.kind)];
    Nanoseconds before = std::max(record.begin, record.transferred);
    for (const StepRecord& step : record.steps) {
      std::string name = steps[static_cast<std::size_t>(step.step)];
      if (const auto again = name.find(" (again)"); again != std::string::npos) name.resize(again);
      auto found = std::find(names_[stage].begin(), names_[stage].end(), name);
      if (found == names_[stage].end()) --found;  // the loss
      loads_[stage][static_cast<std::size_t>(found - names_[stage].begin())] +=
          static_cast<double>(step.end - before) * 1e-9;
      before = step.end;
    }
  }

  std::vector<std::vector<std::string>> names_;
  std::vector<std::vector<double>> loads_;
};

/// Layers that would better run on a neighbour's device.
struct Move {
  std::vector<std::string> layers;
  int device = 0;
  double slowest = 0;     ///< load of the busiest device after it
  double difference = 0;  ///< the busiest over the idlest device, less 1
};

/// The best way to give layers from either end of a stage to the stage before or after it.
class Balancing {
 public:
  Balancing(const PassGraph& graph, int stage) : graph_(graph), stage_(stage), layers_(graph) {
    const TracedPipeline& pipeline = graph.pipeline();
    loads_.assign(pipeline.devices.size(), 0);
    used_.assign(pipeline.devices.size(), false);
    for (std::size_t i = 0; i < graph.size(); ++i) {
      const auto device = static_cast<std::size_t>(graph.unit_of(i).device);
      used_[device] = true;
      if (graph.action(i).kind != ActionKind::update)
        loads_[device] += static_cast<double>(graph.action(i).end - graph.action(i).begin) * 1e-9 /
                          static_cast<double>(graph.batches());
    }
  }

  std::optional<Move> best() {
    const TracedPipeline& pipeline = graph_.pipeline();
    const auto home = device_of(stage_);
    if (!home || !pipeline.alike) return std::nullopt;
    best_.slowest = *std::max_element(loads_.begin(), loads_.end()) * (1 - worth_saying);
    bool found = false;
    for (const auto& [from, to] : pipeline.links) {
      const int other = from == stage_ ? to : to == stage_ ? from : -1;
      if (other < 0) continue;
      const auto device = device_of(other);
      if (device && *device != *home) found = try_moves(*home, *device, to == stage_) || found;
    }
    return found ? std::optional(best_) : std::nullopt;
  }

 private:
  /// The device of a stage with one replica.
  std::optional<int> device_of(int stage) const {
    std::optional<int> device;
    for (const TracedPipeline::Unit& unit : graph_.pipeline().units) {
      if (unit.stage != stage) continue;
      if (device) return std::nullopt;
      device = unit.device;
    }
    return device;
  }

  /// `from_front`: the first layers go to the stage before; else the last ones to the stage after.
  bool try_moves(int home, int device, bool from_front) {
    const auto& names = layers_.names(stage_);
    const auto& loads = layers_.loads(stage_);
    bool better = false;
    double moved = 0;
    std::vector<std::string> taken;
    for (std::size_t i = 0; i + 1 < names.size(); ++i) {
      const std::size_t which = from_front ? i : names.size() - 1 - i;
      moved += loads[which];
      taken.insert(from_front ? taken.end() : taken.begin(), names[which]);
      std::vector<double> after = loads_;
      after[static_cast<std::size_t>(home)] -= moved;
      after[static_cast<std::size_t>(device)] += moved;
      double most = 0, least = after[static_cast<std::size_t>(home)];
      for (std::size_t d = 0; d < after.size(); ++d) {
        if (!used_[d]) continue;
        most = std::max(most, after[d]);
        least = std::min(least, after[d]);
      }
      if (most >= best_.slowest) continue;
      best_ = {taken, device, most, least > 0 ? most / least - 1 : 0};
      better = true;
    }
    return better;
  }

  const PassGraph& graph_;
  int stage_;
  LayerLoads layers_;
  std::vector<double> loads_;
  std::vector<bool> used_;
  Move best_;
};

/// One root in words, and the fix that follows.
class Explanation {
 public:
  Explanation(const PassGraph& graph, const RanBy& by) : graph_(graph), by_(by), loads_(stage_loads(graph)) {}

  std::string cause(const Root& root) const {
    switch (root.kind) {
      case RootKind::stage: {
        const auto stage = static_cast<std::size_t>(root.index);
        double others = 0;
        for (std::size_t i = 0; i < loads_.size(); ++i)
          if (i != stage) others += loads_[i] / static_cast<double>(loads_.size() - 1);
        return fmt::format("{} computes {:.1f}x as long as the others", root.name, loads_[stage] / others);
      }
      case RootKind::link: return fmt::format("{} takes {} a transfer", root.name, microseconds(transfer(root.index)));
      case RootKind::reader:
        return fmt::format("the reader needs {} a micro-batch on {} threads", microseconds(read()),
                           graph_.pipeline().reader_threads);
      case RootKind::wake_up:
        return fmt::format("handing over between host threads costs {} a micro-batch, which computes for {}",
                           microseconds(per_micro_batch_hand_over()), microseconds(per_micro_batch_compute()));
      case RootKind::schedule:
        return fmt::format("the schedule: {} micro-batches a batch fill and drain {} devices", micro_batches(),
                           devices());
      default: return root.name;
    }
  }

  std::string fix(const Root& root) const {
    switch (root.kind) {
      case RootKind::stage: return balance(root.index);
      case RootKind::link: return "a cut where less data crosses, or smaller micro-batches, would hide it better";
      case RootKind::capacity: return "a larger pipeline.link_capacity would help (left out: as many as are in flight)";
      case RootKind::credits: return "a larger pipeline.in_flight would help";
      case RootKind::reader: return "less augmentation, smaller images or more cores for the reader would help";
      case RootKind::device: return "devices with cores of their own for its stages would help";
      case RootKind::optimizer: return "a larger training.batch updates less often";
      case RootKind::wake_up: return "a larger pipeline.micro_batch or fewer stages would help";
      case RootKind::schedule: return better_schedule();
    }
    return {};
  }

  double per_micro_batch_hand_over() const {
    Nanoseconds sum = 0;
    for (std::size_t i = 0; i < graph_.size(); ++i) sum += graph_.hand_over(i);
    return per_micro_batch(sum);
  }
  double per_micro_batch_compute() const {
    Nanoseconds sum = 0;
    for (std::size_t i = 0; i < graph_.size(); ++i) sum += graph_.action(i).end - graph_.action(i).begin;
    return per_micro_batch(sum);
  }

 private:
  int micro_batches() const { return std::max(1, graph_.pass().pass.per_batch); }
  std::size_t devices() const { return by_.schedule.size(); }
  double per_micro_batch(Nanoseconds sum) const {
    return static_cast<double>(sum) * 1e-9 / static_cast<double>(graph_.batches() * micro_batches());
  }

  double transfer(int link) const {
    Nanoseconds sum = 0, count = 0;
    const auto [from, to] = graph_.pipeline().links[static_cast<std::size_t>(link)];
    for (std::size_t i = 0; i < graph_.size(); ++i) {
      const Arrivals& needs = graph_.action(i).arrivals;
      const int stage = graph_.unit_of(i).stage, other = needs.transfer.from;
      if (needs.transfer.time == 0 || !((stage == to && other == from) || (stage == from && other == to))) continue;
      sum += needs.transfer.time - needs.input.time;
      ++count;
    }
    return count ? static_cast<double>(sum) * 1e-9 / static_cast<double>(count) : 0;
  }

  double read() const {
    Nanoseconds sum = 0, count = 0;
    for (std::size_t i = 0; i < graph_.size(); ++i) {
      const ReadRecord& read = graph_.action(i).read;
      if (read.end == 0) continue;
      sum += read.end - read.begin;
      ++count;
    }
    return count ? static_cast<double>(sum) * 1e-9 / static_cast<double>(count) : 0;
  }

  std::string balance(int stage) const {
    const auto move = Balancing(graph_, stage).best();
    if (move)
      return fmt::format("moving {} to {} would balance the devices to within {}", fmt::join(move->layers, "+"),
                         graph_.pipeline().devices[static_cast<std::size_t>(move->device)], percent(move->difference));
    const auto names = LayerLoads(graph_).names(stage);
    if (names.size() == 1)
      return fmt::format("`split` of {} over devices, or more `devices` for its stage, would share its work", names[0]);
    return "more `devices` (replicas) for it would share its work";
  }

  /// The named schedule that is shortest with the times that were measured.
  std::string better_schedule() const {
    const std::string more = "more micro-batches a batch (a smaller pipeline.micro_batch) would shrink its bubble";
    if (by_.whole_pass || !by_.shape.training) return more;
    ActionCosts costs = ActionCosts::equal(by_.shape);
    measure(costs);
    constexpr int batches = 4;
    const double now = simulate(by_.schedule, by_.shape, costs, by_.limits, batches).length;
    std::string best;
    double shortest = now * (1 - worth_saying);
    for (const ScheduleType& type : schedule_types()) {
      if (type.name == "inference" || type.name == "custom" || !type.generate || !type.misfit(by_.shape).empty())
        continue;
      const Schedule schedule = type.generate({by_.shape, costs, {}});
      const double length = simulate(schedule, by_.shape, costs, natural_limits(schedule, by_.shape), batches).length;
      if (length >= shortest) continue;
      shortest = length;
      best = type.name;
    }
    if (best.empty()) return more;
    return fmt::format("pipeline.schedule={} would take {} less with these times", best, percent(1 - shortest / now));
  }

  void measure(ActionCosts& costs) const {
    std::vector<std::array<double, action_kinds>> sum(costs.stages.size()), count(costs.stages.size());
    for (std::size_t i = 0; i < graph_.size(); ++i) {
      const auto stage = static_cast<std::size_t>(graph_.unit_of(i).stage);
      const auto kind = static_cast<std::size_t>(graph_.action(i).kind);
      sum[stage][kind] += static_cast<double>(graph_.action(i).end - graph_.action(i).begin) * 1e-9;
      ++count[stage][kind];
    }
    for (std::size_t stage = 0; stage < sum.size(); ++stage) {
      const auto mean = [&](ActionKind kind) {
        const auto k = static_cast<std::size_t>(kind);
        return count[stage][k] > 0 ? sum[stage][k] / count[stage][k] : 0;
      };
      auto& costs_of = costs.stages[stage];
      costs_of.forward = mean(ActionKind::forward);
      costs_of.update = mean(ActionKind::update);
      costs_of.input_gradients = mean(ActionKind::input_gradients);
      costs_of.parameter_gradients = mean(ActionKind::parameter_gradients);
      // A whole backward is taken for two equal halves.
      if (const double whole = mean(ActionKind::backward); whole > 0)
        costs_of.input_gradients = costs_of.parameter_gradients = whole / 2;
    }
  }

  const PassGraph& graph_;
  const RanBy& by_;
  std::vector<double> loads_;
};

struct Waiting {
  std::string unit, state;
  double share = 0;
};

/// The unit that waits most, and in which state.
std::optional<Waiting> worst_wait(const PassGraph& graph, const std::vector<StateSeconds>& states) {
  static constexpr std::pair<const char*, double StateSeconds::*> waits[] = {
      {"starved", &StateSeconds::starved},
      {"blocked", &StateSeconds::blocked},
      {"waiting for a transfer", &StateSeconds::transfer},
      {"waiting for credit", &StateSeconds::no_credit},
      {"waiting for its device", &StateSeconds::contended},
      {"waiting for the optimizer", &StateSeconds::optimizer},
      {"handing over", &StateSeconds::sync},
      {"filling", &StateSeconds::fill},
      {"draining", &StateSeconds::drain}};
  std::optional<Waiting> worst;
  for (std::size_t unit = 0; unit < states.size(); ++unit)
    for (const auto& [name, seconds] : waits) {
      const double share = states[unit].*seconds / std::max(states[unit].sum(), 1e-12);
      if (share < worth_saying || (worst && share <= worst->share)) continue;
      const TracedPipeline& pipeline = graph.pipeline();
      worst = {fmt::format("stage '{}' on {}", pipeline.unit_name(static_cast<int>(unit)),
                           pipeline.devices[static_cast<std::size_t>(pipeline.units[unit].device)]),
               name, share};
    }
  return worst;
}

}  // namespace

std::string closing_line(const PassGraph& graph, const RanBy& by, const std::vector<StateSeconds>& states,
                         const Diagnosis& diagnosis) {
  const Explanation explanation(graph, by);
  const bool one_cause = !diagnosis.causes.empty() && diagnosis.causes[0].share >= worth_saying;
  if (by.schedule.size() > 1 && graph.pipeline().alike && diagnosis.one_device_seconds < diagnosis.measured_seconds) {
    const bool said = !one_cause || diagnosis.causes[0].kind == RootKind::wake_up;
    return fmt::format(
        "pipelining does not pay here: one device alone would take {:.2f}x the time; the hand-over costs {} a "
        "micro-batch and a micro-batch computes for {}{}",
        diagnosis.one_device_seconds / diagnosis.measured_seconds,
        microseconds(explanation.per_micro_batch_hand_over()), microseconds(explanation.per_micro_batch_compute()),
        said ? std::string() : "; cause: " + explanation.cause(diagnosis.causes[0]));
  }
  const auto waiting = worst_wait(graph, states);
  if (!one_cause)
    return fmt::format("nothing stands out: no cause costs {} of the time{}", percent(worth_saying),
                       waiting
                           ? fmt::format("; {} is {} {} of it", waiting->unit, waiting->state, percent(waiting->share))
                           : std::string());
  const Root& root = diagnosis.causes[0];
  return fmt::format(
      "{}cause: {}, which costs {} of the time; {}",
      waiting ? fmt::format("{} is {} {} of the time; ", waiting->unit, waiting->state, percent(waiting->share))
              : std::string(),
      explanation.cause(root), percent(root.share), explanation.fix(root));
}

}  // namespace lenet_flow

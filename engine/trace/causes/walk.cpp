#include "engine/trace/causes/walk.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

namespace lenet_flow {
namespace {

/// A stage that has not this much more to do than the one that waits for it is no cause of the wait.
constexpr double notably_more = 1.05;

int link_between(const TracedPipeline& pipeline, int from, int to) {
  for (std::size_t i = 0; i < pipeline.links.size(); ++i)
    if (pipeline.links[i] == std::pair(from, to) || pipeline.links[i] == std::pair(to, from))
      return static_cast<int>(i);
  return -1;
}

/// Charges the waits of one unit.
class Walk {
 public:
  Walk(const PassGraph& graph, int unit, const std::vector<double>& loads)
      : graph_(graph), unit_(unit), loads_(loads) {}

  std::vector<Root> charge() {
    Nanoseconds at = graph_.begin();
    for (std::size_t i = 0; i < graph_.size(); ++i) {
      if (graph_.action(i).unit != unit_) continue;
      charge_before(i, at, graph_.action(i).begin);
      at = graph_.action(i).end;
    }
    // What is left at the end, others still worked in.
    charge_until(graph_.end(), at);
    return roots();
  }

 private:
  /// Charges [from, until], the end of which is when action `i` began.
  void charge_before(std::size_t i, Nanoseconds from, Nanoseconds until) {
    while (until > from) {
      const ActionRecord& record = graph_.action(i);
      if (record.ready < until) {
        const Nanoseconds ready = std::max(record.ready, from);
        add(RootKind::device, graph_.unit_of(i).device, until - ready);  // for its cores
        until = ready;
        if (until <= from) return;
      }
      const Arrivals& needs = record.arrivals;
      const Nanoseconds came = std::max(from, std::min(last_arrival(needs), until));
      const Nanoseconds without_cores = graph_.cores_taken(i, came, until);
      add(RootKind::device, graph_.unit_of(i).device, without_cores);
      add(RootKind::wake_up, -1, until - came - without_cores);
      until = came;
      if (until <= from) return;
      Arrival last = needs.order;
      for (const Arrival* need : {&needs.input, &needs.transfer, &needs.credit, &needs.room, &needs.update})
        if (need->time > last.time) last = *need;
      if (needs.transfer.time > 0 && last.time == needs.transfer.time && needs.transfer.time > needs.input.time) {
        const Nanoseconds sent = std::max(from, std::min(until, needs.input.time));
        add(RootKind::link, link_between(graph_.pipeline(), needs.transfer.from, graph_.unit_of(i).stage),
            until - sent);
        until = sent;
        last = needs.input;
      }
      if (last.time == needs.input.time && needs.input.from < 0 && record.read.end > 0)
        return charge_reader(record, from, until);
      const std::size_t sender = graph_.ended_at(last.from, last.time);
      if (sender == PassGraph::none || sender == i) break;  // the pass's begin, or not kept
      charge_action(sender, from, until);
      until = std::min(until, std::max(from, graph_.action(sender).begin));
      i = sender;
    }
    add(RootKind::schedule, -1, until - from);
  }

  void charge_reader(const ActionRecord& record, Nanoseconds from, Nanoseconds until) {
    const Nanoseconds asked = std::max(from, std::min(until, record.read.asked));
    add(RootKind::reader, -1, until - asked);
    add(RootKind::wake_up, -1, asked - from);
  }

  /// Charges the part of [from, until] in which action `i` ran.
  void charge_action(std::size_t i, Nanoseconds from, Nanoseconds until) {
    const ActionRecord& record = graph_.action(i);
    const TracedPipeline::Unit& other = graph_.unit_of(i);
    const TracedPipeline::Unit& own = graph_.pipeline().units[static_cast<std::size_t>(unit_)];
    const Nanoseconds time = until - std::max(from, std::min(until, record.begin));
    if (record.kind == ActionKind::update) return add(RootKind::optimizer, -1, time);
    if (other.device == own.device && other.stage != own.stage) return add(RootKind::device, own.device, time);
    const bool slower =
        loads_[static_cast<std::size_t>(other.stage)] > notably_more * loads_[static_cast<std::size_t>(own.stage)];
    add(slower ? RootKind::stage : RootKind::schedule, slower ? other.stage : -1, time);
  }

  /// After the unit's last action: charged to the last action of the pass that ran, and back from it.
  void charge_until(Nanoseconds until, Nanoseconds from) {
    std::size_t last = PassGraph::none;
    for (std::size_t i = 0; i < graph_.size(); ++i)
      if (graph_.action(i).end == until) last = i;
    if (last == PassGraph::none || until <= from) return;
    charge_action(last, from, until);
    const Nanoseconds began = std::max(from, graph_.action(last).begin);
    if (began > from) charge_before(last, from, began);
  }

  void add(RootKind kind, int index, Nanoseconds time) {
    if (time > 0) charged_[{kind, index}] += time;
  }

  std::vector<Root> roots() const {
    std::vector<Root> roots;
    const auto length = static_cast<double>(graph_.end() - graph_.begin());
    for (const auto& [root, time] : charged_)
      roots.push_back({root.first, root.second, root_name(graph_.pipeline(), root.first, root.second),
                       static_cast<double>(time) * 1e-9, length > 0 ? static_cast<double>(time) / length : 0});
    std::sort(roots.begin(), roots.end(), [](const Root& a, const Root& b) { return a.seconds > b.seconds; });
    return roots;
  }

  const PassGraph& graph_;
  int unit_;
  const std::vector<double>& loads_;
  std::map<std::pair<RootKind, int>, Nanoseconds> charged_;
};

}  // namespace

const char* word(RootKind kind) {
  switch (kind) {
    case RootKind::stage: return "stage";
    case RootKind::link: return "link";
    case RootKind::capacity: return "capacity";
    case RootKind::credits: return "credits";
    case RootKind::reader: return "reader";
    case RootKind::device: return "device";
    case RootKind::optimizer: return "optimizer";
    case RootKind::wake_up: return "wake_up";
    case RootKind::schedule: return "schedule";
  }
  return "";
}

std::string root_name(const TracedPipeline& pipeline, RootKind kind, int index) {
  const auto at = static_cast<std::size_t>(index);
  switch (kind) {
    case RootKind::stage: {
      std::string devices;
      for (const TracedPipeline::Unit& unit : pipeline.units)
        if (unit.stage == index)
          devices += (devices.empty() ? "" : ", ") + pipeline.devices[static_cast<std::size_t>(unit.device)];
      return fmt::format("stage '{}' on {}", pipeline.stages[at], devices);
    }
    case RootKind::link:
      if (index < 0) return "a link";
      return fmt::format("link '{}->{}'", pipeline.stages[static_cast<std::size_t>(pipeline.links[at].first)],
                         pipeline.stages[static_cast<std::size_t>(pipeline.links[at].second)]);
    case RootKind::capacity: return fmt::format("the links' capacity of {}", pipeline.link_capacity);
    case RootKind::credits: return fmt::format("the admission of {} at a time", pipeline.in_flight);
    case RootKind::reader: return "the reader";
    case RootKind::device: return fmt::format("device '{}', which is shared", pipeline.devices[at]);
    case RootKind::optimizer: return "the optimizer";
    case RootKind::wake_up: return "hand-over between host threads";
    case RootKind::schedule: return "the schedule";
  }
  return {};
}

std::vector<double> stage_loads(const PassGraph& graph) {
  const TracedPipeline& pipeline = graph.pipeline();
  std::vector<double> loads(pipeline.stages.size(), 0), replicas(pipeline.stages.size(), 0);
  for (const TracedPipeline::Unit& unit : pipeline.units) ++replicas[static_cast<std::size_t>(unit.stage)];
  for (std::size_t i = 0; i < graph.size(); ++i)
    if (graph.action(i).kind != ActionKind::update)
      loads[static_cast<std::size_t>(graph.unit_of(i).stage)] +=
          static_cast<double>(graph.action(i).end - graph.action(i).begin) * 1e-9;
  for (std::size_t stage = 0; stage < loads.size(); ++stage)
    loads[stage] /= replicas[stage] * static_cast<double>(std::max<std::int64_t>(1, graph.batches()));
  return loads;
}

std::vector<std::vector<Root>> charge_waits(const PassGraph& graph) {
  const std::vector<double> loads = stage_loads(graph);
  std::vector<std::vector<Root>> waits;
  for (std::size_t unit = 0; unit < graph.pipeline().units.size(); ++unit)
    waits.push_back(Walk(graph, static_cast<int>(unit), loads).charge());
  return waits;
}

}  // namespace lenet_flow

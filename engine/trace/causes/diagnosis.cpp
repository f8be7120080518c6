#include "engine/trace/causes/diagnosis.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "engine/trace/causes/replay.h"
#include "engine/trace/causes/walk.h"

namespace lenet_flow {
namespace {

/// Of a stage: what its actions would have to be scaled by to take as long as the mean of the others; at most 1.
double balancing_factor(const std::vector<double>& loads, std::size_t stage) {
  if (loads.size() < 2 || loads[stage] <= 0) return 1;
  const double others =
      (std::accumulate(loads.begin(), loads.end(), 0.0) - loads[stage]) / static_cast<double>(loads.size() - 1);
  return std::min(1.0, others / loads[stage]);
}

/// Plays the pass through without one cause after another.
class Causes {
 public:
  explicit Causes(const PassGraph& graph) : graph_(graph), loads_(stage_loads(graph)), baseline_(replay(graph, {})) {}

  Nanoseconds baseline() const { return baseline_; }

  std::vector<Root> all() {
    const TracedPipeline& pipeline = graph_.pipeline();
    const WhatIf measured;
    for (std::size_t stage = 0; stage < pipeline.stages.size(); ++stage) {
      const double factor = balancing_factor(loads_, stage);
      if (factor >= 1) continue;
      WhatIf what = measured;
      what.stage_factors.assign(pipeline.stages.size(), 1);
      what.stage_factors[stage] = factor;
      add(RootKind::stage, static_cast<int>(stage), what);
    }
    for (std::size_t link = 0; link < pipeline.links.size(); ++link) {
      WhatIf what = measured;
      what.free_links.assign(pipeline.links.size(), false);
      what.free_links[link] = true;
      add(RootKind::link, static_cast<int>(link), what);
    }
    add_devices();
    add_flag(RootKind::capacity, &WhatIf::free_room);
    add_flag(RootKind::credits, &WhatIf::free_credits);
    add_flag(RootKind::reader, &WhatIf::free_reader);
    add_flag(RootKind::optimizer, &WhatIf::free_updates);
    add_flag(RootKind::wake_up, &WhatIf::free_hand_over);
    add_schedule();
    std::stable_sort(roots_.begin(), roots_.end(), [](const Root& a, const Root& b) { return a.seconds > b.seconds; });
    return std::move(roots_);
  }

 private:
  void add(RootKind kind, int index, Nanoseconds saved) {
    if (saved <= 0) return;
    roots_.push_back({kind, index, root_name(graph_.pipeline(), kind, index), static_cast<double>(saved) * 1e-9,
                      static_cast<double>(saved) / static_cast<double>(baseline_)});
  }
  void add(RootKind kind, int index, const WhatIf& what) { add(kind, index, baseline_ - replay(graph_, what)); }
  void add_flag(RootKind kind, bool WhatIf::*flag) {
    WhatIf what;
    what.*flag = true;
    add(kind, -1, what);
  }

  /// A device that runs several stages, or whose cores another one uses too.
  void add_devices() {
    const TracedPipeline& pipeline = graph_.pipeline();
    for (std::size_t device = 0; device < pipeline.devices.size(); ++device) {
      WhatIf what;
      what.apart.assign(pipeline.devices.size(), false);
      what.apart[device] = true;
      what.own_cores = !pipeline.core_groups.empty() && pipeline.core_groups[device] >= 0;
      add(RootKind::device, static_cast<int>(device), what);
    }
  }

  /// What is idle even where nothing else stands in the way: filling, draining, the order of the actions.
  void add_schedule() {
    const TracedPipeline& pipeline = graph_.pipeline();
    WhatIf ideal;
    ideal.free_room = ideal.free_credits = ideal.free_reader = ideal.free_updates = ideal.free_hand_over = true;
    ideal.own_cores = true;
    ideal.free_links.assign(pipeline.links.size(), true);
    for (std::size_t stage = 0; stage < pipeline.stages.size(); ++stage)
      ideal.stage_factors.push_back(balancing_factor(loads_, stage));
    std::vector<double> busy(pipeline.devices.size(), 0);
    for (std::size_t i = 0; i < graph_.size(); ++i) {
      const ActionRecord& record = graph_.action(i);
      const TracedPipeline::Unit& unit = graph_.unit_of(i);
      if (record.kind != ActionKind::update)
        busy[static_cast<std::size_t>(unit.device)] +=
            static_cast<double>(record.end - record.begin) * ideal.stage_factors[static_cast<std::size_t>(unit.stage)];
    }
    add(RootKind::schedule, -1,
        replay(graph_, ideal) - static_cast<Nanoseconds>(*std::max_element(busy.begin(), busy.end())));
  }

  const PassGraph& graph_;
  std::vector<double> loads_;
  Nanoseconds baseline_;
  std::vector<Root> roots_;
};

/// The time in which no action runs anywhere.
Nanoseconds nobody_computes(const PassGraph& graph) {
  Nanoseconds idle = 0, busy_until = graph.begin();
  for (std::size_t i = 0; i < graph.size(); ++i) {
    idle += std::max<Nanoseconds>(0, graph.action(i).begin - busy_until);
    busy_until = std::max(busy_until, graph.action(i).end);
  }
  return idle;
}

}  // namespace

Diagnosis diagnose(const DiagnosisRequest& request) {
  const PassGraph graph(*request.pipeline, *request.pass, *request.by);
  Diagnosis diagnosis;
  if (graph.empty()) {
    diagnosis.line = "no whole batch was traced: nothing can be said of causes";
    return diagnosis;
  }
  const PassTrace& facts = request.pass->pass;
  diagnosis.basis = fmt::format(
      "{}{}",
      graph.batches() < facts.batches ? fmt::format("the first {} of {} batches of ", graph.batches(), facts.batches)
                                      : std::string(),
      facts.training ? fmt::format("epoch {}", facts.epoch) : std::string("the images to infer"));
  Causes causes(graph);
  diagnosis.measured_seconds = static_cast<double>(graph.end() - graph.begin()) * 1e-9;
  diagnosis.replayed_seconds = static_cast<double>(causes.baseline()) * 1e-9;
  diagnosis.nobody_computes_seconds = static_cast<double>(nobody_computes(graph)) * 1e-9;
  for (std::size_t i = 0; i < graph.size(); ++i)
    diagnosis.one_device_seconds += static_cast<double>(graph.action(i).end - graph.action(i).begin) * 1e-9;
  diagnosis.causes = causes.all();
  diagnosis.waits = charge_waits(graph);
  diagnosis.line = closing_line(graph, *request.by, request.states, diagnosis);
  return diagnosis;
}

}  // namespace lenet_flow

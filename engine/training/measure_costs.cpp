#include "engine/training/measure_costs.h"

#include <algorithm>
#include <map>
#include <utility>

#include "engine/pipeline/stage_costs.h"
#include "engine/training/training_state.h"

namespace lenet_flow {
namespace {

/// Batches that are not counted: caches and memory are cold. And batches that are.
constexpr std::int64_t warm_up_batches = 2, measured_batches = 5;

/// `sequential` with the two halves of each backward apart.
Schedule sequential_in_halves(const ScheduleShape& shape) {
  Schedule schedule = find_schedule_type("sequential")->generate({shape, ActionCosts::equal(shape), {}});
  for (auto& actions : schedule) {
    std::vector<Action> halves;
    for (const Action& action : actions) {
      if (action.kind != ActionKind::backward) {
        halves.push_back(action);
        continue;
      }
      halves.push_back({action.stage, ActionKind::input_gradients, action.micro_batch});
      halves.push_back({action.stage, ActionKind::parameter_gradients, action.micro_batch});
    }
    actions = std::move(halves);
  }
  return schedule;
}

double median_seconds(std::vector<Nanoseconds> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return static_cast<double>(*middle) * 1e-9;
}

/// When an action of a stage ran.
struct ActionTimes {
  int stage = 0;
  ActionKind kind = ActionKind::forward;
  std::int64_t batch = 0, micro_batch = 0;
  Nanoseconds begin = 0, end = 0;
};

/// The times that a traced pass tells of.
class Stopwatch {
 public:
  Stopwatch(const TracedPipeline& pipeline, const KeptPass& pass) {
    for (const ActionRecord& action : pass.actions)
      actions_.push_back({pipeline.units[static_cast<std::size_t>(action.unit)].stage, action.kind, action.batch,
                          action.micro_batch, action.begin, action.end});
  }

  /// Puts the medians in the place of `costs`, where there are any.
  void write_into(ActionCosts& costs, const ScheduleShape& shape) const {
    for (std::size_t i = 0; i < costs.stages.size(); ++i) {
      ActionCosts::StageCosts& stage = costs.stages[i];
      const std::pair<ActionKind, double*> kinds[] = {{ActionKind::forward, &stage.forward},
                                                      {ActionKind::input_gradients, &stage.input_gradients},
                                                      {ActionKind::parameter_gradients, &stage.parameter_gradients},
                                                      {ActionKind::update, &stage.update}};
      for (const auto& [kind, cost] : kinds)
        if (const auto lengths = lengths_of(static_cast<int>(i), kind); !lengths.empty())
          *cost = median_seconds(lengths);
    }
    for (std::size_t i = 0; i < costs.transfers.size(); ++i)
      if (const auto gaps = gaps_over(shape, shape.links[i]); !gaps.empty()) costs.transfers[i] = median_seconds(gaps);
  }

 private:
  static bool counts(const ActionTimes& action) { return action.batch >= warm_up_batches; }

  std::vector<Nanoseconds> lengths_of(int stage, ActionKind kind) const {
    std::vector<Nanoseconds> lengths;
    for (const ActionTimes& action : actions_)
      if (counts(action) && action.stage == stage && action.kind == kind) lengths.push_back(action.end - action.begin);
    return lengths;
  }

  /// From F of the stage before a link to F of the one after it, where they are on different devices and the second has
  /// nothing else to wait for.
  std::vector<Nanoseconds> gaps_over(const ScheduleShape& shape, const std::pair<int, int>& link) const {
    std::vector<Nanoseconds> gaps;
    const auto inputs = std::count_if(shape.links.begin(), shape.links.end(),
                                      [&](const auto& other) { return other.second == link.second; });
    if (inputs > 1) return gaps;
    std::map<std::int64_t, Nanoseconds> ended;
    for (const ActionTimes& action : actions_) {
      if (!counts(action) || action.kind != ActionKind::forward) continue;
      if (action.stage == link.first) ended[action.micro_batch] = action.end;
    }
    for (const ActionTimes& action : actions_) {
      if (!counts(action) || action.kind != ActionKind::forward || action.stage != link.second) continue;
      const int index = static_cast<int>(action.micro_batch % shape.micro_batches);
      const bool apart = shape.device_of({link.first, ActionKind::forward, index}) !=
                         shape.device_of({link.second, ActionKind::forward, index});
      gaps.push_back(apart ? std::max<Nanoseconds>(0, action.begin - ended[action.micro_batch]) : 0);
    }
    return gaps;
  }

  std::vector<ActionTimes> actions_;
};

}  // namespace

ActionCosts measure_costs(Session& session) {
  const PipelineOptions wanted = session.pipeline_options();
  const BatchCut cut{wanted.batch, wanted.batch, wanted.micro_batch};
  const ScheduleShape shape = schedule_shape(session.network(), session.devices(), cut.micro_batches(), true);
  ActionCosts costs = estimated_costs(session.network(), session.devices(), shape, wanted.micro_batch);
  PipelineOptions options = session.pipeline_options("sequential");
  options.custom = sequential_in_halves(shape);
  {
    const auto pipeline = session.open_pipeline(options);
    TrainingState state;
    train_epoch(session, *pipeline, state, warm_up_batches + measured_batches, {});
    Stopwatch(pipeline->traced(), pipeline->kept().passes().back()).write_into(costs, shape);
  }
  session.renew_devices();
  return costs;
}

PipelineOptions pipeline_options_with_costs(Session& session) {
  PipelineOptions options = session.pipeline_options();
  if (schedule_name(options) == "auto") options.costs = measure_costs(session);
  return options;
}

}  // namespace lenet_flow

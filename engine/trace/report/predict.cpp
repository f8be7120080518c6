#include "engine/trace/report/predict.h"

#include <array>

namespace lenet_flow {
namespace {

struct Mean {
  Nanoseconds sum = 0;
  std::int64_t count = 0;

  void add(Nanoseconds time) {
    sum += time;
    ++count;
  }
  double seconds() const { return count > 0 ? static_cast<double>(sum) / static_cast<double>(count) * 1e-9 : 0; }
};

}  // namespace

ActionCosts measured_costs(const TracedPipeline& pipeline, const KeptPass& pass) {
  std::vector<std::array<Mean, action_kinds>> actions(pipeline.stages.size());
  std::vector<Mean> transfers(pipeline.links.size());
  for (const ActionRecord& action : pass.actions) {
    const int stage = pipeline.units[static_cast<std::size_t>(action.unit)].stage;
    actions[static_cast<std::size_t>(stage)][static_cast<std::size_t>(action.kind)].add(action.end - action.begin);
    const Arrivals& needs = action.arrivals;
    if (needs.transfer.time <= needs.input.time) continue;
    for (std::size_t link = 0; link < transfers.size(); ++link)
      if (pipeline.links[link] == std::pair{needs.input.from, stage} ||
          pipeline.links[link] == std::pair{stage, needs.input.from})  // gradients go back
        transfers[link].add(needs.transfer.time - needs.input.time);
  }
  ActionCosts costs;
  for (const auto& of_stage : actions) {
    const auto mean = [&](ActionKind kind) { return of_stage[static_cast<std::size_t>(kind)]; };
    const Mean backward = mean(ActionKind::backward), input_gradients = mean(ActionKind::input_gradients);
    ActionCosts::StageCosts& stage = costs.stages.emplace_back();
    stage.forward = mean(ActionKind::forward).seconds();
    stage.input_gradients = (backward.count > 0 ? backward : input_gradients).seconds();
    stage.parameter_gradients = backward.count > 0 ? 0 : mean(ActionKind::parameter_gradients).seconds();
    stage.update = mean(ActionKind::update).seconds();
  }
  for (const Mean& transfer : transfers) costs.transfers.push_back(transfer.seconds());
  return costs;
}

}  // namespace lenet_flow

#include "engine/pipeline/stage_costs.h"

#include "devices/work_queue.h"

namespace lenet_flow {

ActionCosts estimated_costs(const Network& network, const DeviceSet& devices, const ScheduleShape& shape,
                            std::int64_t micro_batch) {
  constexpr double flops_a_core = 10e9;
  ActionCosts costs;
  for (const Stage& stage : network.stages) {
    Device& device = devices.device(devices.index_of(stage.devices[0]));
    const double cores = device.kind() == DeviceKind::cpu ? static_cast<CpuQueue&>(device.queue()).cores() : 1;
    ActionCosts::StageCosts& sum = costs.stages.emplace_back();
    sum = {0, 0, 0, 0};
    for (const int number : stage.layers) {
      const NetworkLayer& layer = network.layers[static_cast<std::size_t>(number)];
      const double scale = static_cast<double>(micro_batch) / (flops_a_core * cores);
      sum.forward += layer.flops.forward * scale;
      if (layer.needs_input_gradients) sum.input_gradients += layer.flops.input_gradients * scale;
      sum.parameter_gradients += layer.flops.parameter_gradients * scale;
    }
    if (stage.recompute) sum.input_gradients += sum.forward;
  }
  costs.transfers.assign(shape.links.size(), 0.0);
  return costs;
}

ActionCosts with_given_costs(ActionCosts costs, const Network& network, const ScheduleShape& shape) {
  const auto give = [](double& cost, const std::optional<double>& microseconds) {
    if (microseconds) cost = *microseconds * 1e-6;
  };
  for (std::size_t i = 0; i < costs.stages.size(); ++i) {
    const StageCostsEntry& given = network.stages[i].costs;
    give(costs.stages[i].forward, given.forward);
    give(costs.stages[i].input_gradients, given.input_gradients);
    give(costs.stages[i].parameter_gradients, given.parameter_gradients);
    give(costs.stages[i].update, given.update);
  }
  for (std::size_t i = 0; i < costs.transfers.size(); ++i)
    give(costs.transfers[i], network.stages[static_cast<std::size_t>(shape.links[i].first)].costs.transfer);
  return costs;
}

}  // namespace lenet_flow

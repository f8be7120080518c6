#include <fmt/format.h>

#include <algorithm>

#include "engine/pipeline/pipeline.h"

namespace lenet_flow {

ScheduleShape schedule_shape(const Network& network, const DeviceSet& devices, int micro_batches, bool training) {
  ScheduleShape shape;
  for (const Stage& stage : network.stages) shape.device_of_stage.push_back(devices.index_of(stage.device));
  for (const Link& link : network.links)
    if (link.from != network_input) shape.links.emplace_back(link.from, link.to);
  shape.devices = devices.size();
  shape.micro_batches = micro_batches;
  shape.training = training;
  return shape;
}

std::uint64_t PipelinePlan::device_bytes(int index) const {
  std::uint64_t bytes = workspace_bytes[static_cast<std::size_t>(index)];
  for (std::size_t stage = 0; stage < memory.size(); ++stage)
    if (shape.device_of_stage[stage] == index) bytes += memory[stage].bytes().sum() - memory[stage].workspace_bytes();
  return bytes;
}

PipelinePlan plan_pipeline(const Network& network, const DeviceSet& devices, const PipelineOptions& options,
                           const Optimizer* optimizer) {
  PipelinePlan plan;
  const int micro_batches = BatchCut{options.batch, options.batch, options.micro_batch}.micro_batches();
  plan.shape = schedule_shape(network, devices, micro_batches, options.training);
  plan.schedule = options.schedule->generate(plan.shape);
  plan.limits.in_flight = options.in_flight > 0 ? options.in_flight : options.schedule->in_flight(plan.shape);
  plan.limits.link_capacity = options.link_capacity > 0 ? options.link_capacity : plan.limits.in_flight;
  if (const auto problems = check_schedule(plan.schedule, plan.shape, plan.limits); !problems.empty()) {
    const ScheduleLimits ample{options.schedule->in_flight(plan.shape), micro_batches};
    std::string message =
        fmt::format("pipeline: schedule '{}' cannot run with in_flight {} and link_capacity {}: {}",
                    options.schedule->name, plan.limits.in_flight, plan.limits.link_capacity, problems[0]);
    if (check_schedule(plan.schedule, plan.shape, ample).empty())
      message += fmt::format("; in_flight {} and link_capacity {} are enough", ample.in_flight, ample.link_capacity);
    throw InputError(message);
  }
  for (const auto& actions : plan.schedule)
    for (const Action& action : actions)
      plan.split_backward = plan.split_backward || action.kind == ActionKind::input_gradients;
  plan.workspace_bytes.resize(static_cast<std::size_t>(devices.size()));
  for (int stage = 0; stage < plan.shape.stages(); ++stage) {
    const int index = plan.shape.device_of_stage[static_cast<std::size_t>(stage)];
    const MemoryNeeds needs{.micro_batch = std::min(options.micro_batch, options.batch),
                            .micro_batches = micro_batches,
                            .in_flight = plan.limits.in_flight,
                            .training = options.training,
                            .split_backward = plan.split_backward,
                            .held_back = gradients_held_back(plan.schedule, stage),
                            .optimizer_states = optimizer ? static_cast<int>(optimizer->state_names().size()) : 0};
    plan.memory.emplace_back(network, stage, needs, devices.device(index));
    auto& workspace = plan.workspace_bytes[static_cast<std::size_t>(index)];
    workspace = std::max<std::uint64_t>(workspace, plan.memory.back().workspace_bytes());
  }
  // A schedule may take a batch's micro-batches in any order: the reader must be able to have a whole one ready.
  plan.read_ahead = std::max(4, micro_batches) + 4;
  plan.reader_bytes = static_cast<std::uint64_t>(plan.read_ahead) *
                      static_cast<std::uint64_t>(std::min(options.micro_batch, options.batch)) *
                      static_cast<std::uint64_t>(network.input.elements()) * sizeof(float);
  return plan;
}

}  // namespace lenet_flow

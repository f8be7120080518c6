#include "engine/pipeline/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "engine/pipeline/stage_costs.h"
#include "engine/pipeline/token_rules.h"

namespace lenet_flow {
namespace {

/// Why a schedule cannot run under some limits, with limits that would do where there are any.
std::string cannot_run(const std::string& name, const Schedule& schedule, const ScheduleShape& shape,
                       const ScheduleLimits& limits, const std::string& problem) {
  std::string message = fmt::format("pipeline: schedule '{}' cannot run with in_flight {} and link_capacity {}: {}",
                                    name, limits.in_flight, limits.link_capacity, problem);
  const ScheduleLimits ample = natural_limits(schedule, shape);
  if (check_schedule(schedule, shape, ample).empty())
    message += fmt::format("; in_flight {} and link_capacity {} are enough", ample.in_flight, ample.link_capacity);
  return message;
}

Schedule generate(const ScheduleType& type, const ScheduleRequest& request) {
  if (const std::string misfit = type.misfit(request.shape); !misfit.empty())
    throw InputError(fmt::format("pipeline.schedule: '{}' {}", type.name, misfit));
  return type.generate(request);
}

/// A stage that does not recompute reads its outputs in its own backward too, so they live at least as long as its
/// activations.
void keep_outputs(StageSlots& slots) { slots.outputs = std::max(slots.outputs, slots.activations); }

/// Training and evaluation run in the same memory: slots for both.
void share_slots(PipelinePlan& plan, const Network& network) {
  for (std::size_t i = 0; i < plan.limits.slots.size(); ++i) {
    StageSlots& mine = plan.limits.slots[i];
    StageSlots& other = plan.inference_limits.slots[i];
    mine.activations = std::max(mine.activations, other.activations);
    mine.outputs = std::max(mine.outputs, other.outputs);
    if (!network.stages[i].recompute) keep_outputs(mine);
    other = mine;
  }
}

/// Micro-batches between I and W at a time on one replica, as slots numbered by its sequence: the longest reach from
/// one that waits for its W to one whose I runs.
int backward_slots(const Schedule& schedule, const ScheduleShape& shape, int stage) {
  int most = 1;
  const int replicas = shape.replicas(stage);
  for (const auto& actions : schedule) {
    std::set<int> open;
    for (const Action& action : actions) {
      if (action.stage != stage) continue;
      const int place = action.micro_batch / replicas;
      if (action.kind == ActionKind::parameter_gradients) open.erase(place);
      if (action.kind == ActionKind::input_gradients) open.insert(place);
      const bool backward = action.kind == ActionKind::input_gradients || action.kind == ActionKind::backward;
      if (!backward) continue;
      for (const int other : open) most = std::max(most, std::abs(place - other) + 1);
    }
  }
  return most;
}

MemoryNeeds needs_of_stage(const PipelinePlan& plan, const Network& network, int stage, const PipelineOptions& options,
                           const Optimizer* optimizer) {
  const int micro_batches = plan.shape.micro_batches, replicas = plan.shape.replicas(stage);
  MemoryNeeds needs;
  needs.micro_batch = std::min(options.micro_batch, options.batch);
  needs.micro_batches = micro_batches;
  needs.slots = plan.limits.slots[static_cast<std::size_t>(stage)];
  needs.training = options.training;
  needs.recompute = network.stages[static_cast<std::size_t>(stage)].recompute && options.training;
  needs.backward_slots = backward_slots(plan.schedule, plan.shape, stage);
  needs.staging = replicas > 1 ? (micro_batches + replicas - 1) / replicas
                               : gradients_held_back(plan.schedule, plan.shape, stage) + 1;
  if (!plan.versions.empty()) needs.versions = plan.versions[static_cast<std::size_t>(stage)];
  needs.optimizer_states = optimizer ? static_cast<int>(optimizer->state_names().size()) : 0;
  needs.ahead = std::max(plan.read_ahead, most_submitted + micro_batches);
  return needs;
}

void plan_memory(PipelinePlan& plan, const Network& network, const DeviceSet& devices, const PipelineOptions& options,
                 const Optimizer* optimizer) {
  plan.memory.clear();
  plan.workspace_bytes.assign(static_cast<std::size_t>(devices.size()), 0);
  // A schedule may take a batch's micro-batches in any order: the reader must be able to have a whole one ready.
  plan.read_ahead = std::max(4, plan.shape.micro_batches) + 4;
  const auto placement = std::make_shared<StagePlacement>();
  placement->slots = plan.limits.slots;
  for (const auto& indices : plan.shape.devices_of_stage) {
    auto& stage_devices = placement->devices.emplace_back();
    for (const int index : indices) stage_devices.push_back(&devices.device(index));
  }
  for (int stage = 0; stage < plan.shape.stages(); ++stage) {
    const MemoryNeeds needs = needs_of_stage(plan, network, stage, options, optimizer);
    for (int replica = 0; replica < plan.shape.replicas(stage); ++replica) {
      const int index = plan.shape.devices_of_stage[static_cast<std::size_t>(stage)][static_cast<std::size_t>(replica)];
      plan.memory.emplace_back(network, stage, replica, needs, placement);
      auto& workspace = plan.workspace_bytes[static_cast<std::size_t>(index)];
      workspace = std::max<std::uint64_t>(workspace, plan.memory.back().workspace_bytes());
    }
  }
  plan.reader_bytes = static_cast<std::uint64_t>(plan.read_ahead) *
                      static_cast<std::uint64_t>(std::min(options.micro_batch, options.batch)) *
                      static_cast<std::uint64_t>(network.input.elements()) * sizeof(float);
}

/// What `auto` must keep to: bytes a micro-batch, and bytes whatever is in flight, from plans with one and two slots.
MemoryLimits memory_limits(const PipelinePlan& empty, const Network& network, const DeviceSet& devices,
                           const PipelineOptions& options, const Optimizer* optimizer) {
  MemoryLimits limits;
  if (options.device_bytes.empty()) return limits;
  limits.device_bytes = options.device_bytes;
  std::vector<double> bytes[2];
  for (const int slots : {1, 2}) {
    PipelinePlan plan;
    plan.shape = empty.shape;
    plan.schedule = find_schedule_type("sequential")->generate({plan.shape, ActionCosts::equal(plan.shape), {}});
    plan.limits.slots.assign(static_cast<std::size_t>(plan.shape.stages()), {slots, slots, slots});
    plan_memory(plan, network, devices, options, optimizer);
    bytes[slots - 1].resize(static_cast<std::size_t>(plan.shape.stages()));
    for (const StageMemory& unit : plan.memory)
      if (unit.replica() == 0)
        bytes[slots - 1][static_cast<std::size_t>(unit.stage())] = static_cast<double>(unit.bytes().sum());
  }
  for (std::size_t stage = 0; stage < bytes[0].size(); ++stage) {
    limits.micro_batch_bytes.push_back(bytes[1][stage] - bytes[0][stage]);
    limits.fixed_bytes.push_back(2 * bytes[0][stage] - bytes[1][stage]);
  }
  return limits;
}

/// How many versions of each stage's parameters live at a time, over some batches.
std::vector<int> count_versions(const Schedule& unflushed, const ScheduleShape& shape, WeightVersions kind) {
  std::vector<int> versions(static_cast<std::size_t>(shape.stages()), kind == WeightVersions::double_buffered ? 2 : 1);
  for (const auto& actions : unflushed) {
    std::map<int, int> updates;
    std::map<std::pair<int, int>, int> used;
    for (const Action& action : actions) {
      int& updated = updates[action.stage];
      const std::pair key{action.stage, action.micro_batch};
      if (action.kind == ActionKind::update) ++updated;
      if (action.kind == ActionKind::forward) {
        used[key] = updated;
        if (kind == WeightVersions::double_buffered && updated + 1 < action.micro_batch / shape.micro_batches)
          throw InputError(
              "pipeline.weight_versions: 'double_buffered' needs at least as many micro-batches a batch as a stage has "
              "in flight; a smaller pipeline.micro_batch makes more of them");
      }
      if (action.kind == ActionKind::backward && kind == WeightVersions::stashing)
        versions[static_cast<std::size_t>(action.stage)] =
            std::max(versions[static_cast<std::size_t>(action.stage)], updated - used[key] + 1);
    }
  }
  return versions;
}

/// The schedule and limits of a run without flush, from a sample long enough to have a steady state.
void plan_unflushed(PipelinePlan& plan, const PipelineOptions& options) {
  if (options.custom || options.schedule->name != "1f1b")
    throw InputError("pipeline.flush: only schedule '1f1b' runs without flush");
  for (int stage = 0; stage < plan.shape.stages(); ++stage)
    if (plan.shape.replicas(stage) > 1)
      throw InputError("pipeline.flush: a stage with replicas needs the flush; leave \"flush\" true");
  const int batches = 4 + plan.shape.stages() / plan.shape.micro_batches;
  const int micro_batches = batches * plan.shape.micro_batches;
  const Schedule sample = unflushed_schedule(*options.schedule, plan.shape, micro_batches);
  plan.versions = count_versions(sample, plan.shape, options.weight_versions);
  ScheduleShape whole = plan.shape;
  whole.micro_batches = micro_batches;
  plan.schedule = generate(*options.schedule, {whole, ActionCosts::equal(whole), {}});
  plan.limits = natural_limits(plan.schedule, whole, options.in_flight, options.link_capacity);
  plan.sample_shape = whole;
}

void check_links(const ScheduleShape& shape, const Network& network) {
  std::map<int, std::size_t> from, to;
  for (const auto& [a, b] : shape.links) {
    if (++from[a] > most_links || ++to[b] > most_links)
      throw InputError(fmt::format("stage '{}' has more than {} links; fewer stages have fewer",
                                   network.stages[static_cast<std::size_t>(from[a] > most_links ? a : b)].name,
                                   most_links));
  }
}

void check_device_bytes(const PipelinePlan& plan, const DeviceSet& devices, const PipelineOptions& options) {
  for (std::size_t i = 0; i < options.device_bytes.size(); ++i) {
    const double bytes = static_cast<double>(plan.device_bytes(static_cast<int>(i)));
    if (bytes > options.device_bytes[i])
      throw InputError(fmt::format(
          "device '{}' would hold {:.1f} MiB, its memory_limit is {:.1f} MiB; a smaller "
          "micro-batch, fewer in flight or \"recompute\" needs less",
          devices.device(static_cast<int>(i)).name(), bytes / 1048576.0, options.device_bytes[i] / 1048576.0));
  }
}

}  // namespace

Schedule unflushed_schedule(const ScheduleType& type, const ScheduleShape& shape, int micro_batches) {
  ScheduleShape whole = shape;
  whole.micro_batches = micro_batches;
  Schedule schedule = generate(type, {whole, ActionCosts::equal(whole), {}});
  for (auto& actions : schedule) {
    std::vector<Action> with_updates;
    std::map<int, int> done;
    for (const Action& action : actions) {
      if (action.kind == ActionKind::update) continue;
      with_updates.push_back(action);
      if (action.kind != ActionKind::backward) continue;
      const int ended = ++done[action.stage];
      if (ended % shape.micro_batches == 0 || ended == micro_batches)
        with_updates.push_back({action.stage, ActionKind::update, (ended - 1) / shape.micro_batches});
    }
    actions = std::move(with_updates);
  }
  return schedule;
}

std::string schedule_name(const PipelineOptions& options) {
  return !options.training ? "inference" : options.custom ? "custom" : options.schedule->name;
}

ScheduleShape schedule_shape(const Network& network, const DeviceSet& devices, int micro_batches, bool training) {
  ScheduleShape shape;
  for (const Stage& stage : network.stages) {
    auto& indices = shape.devices_of_stage.emplace_back();
    for (const std::string& device : stage.devices) {
      const int index = devices.index_of(device);
      if (std::find(indices.begin(), indices.end(), index) != indices.end())
        throw InputError(
            fmt::format("stage '{}': two of its replicas are on device '{}'; each needs a device of its own",
                        stage.name, devices.device(index).name()));
      indices.push_back(index);
    }
  }
  std::set<std::pair<int, int>> links;
  for (const Link& link : network.links)
    if (link.from != network_input && links.insert({link.from, link.to}).second)
      shape.links.emplace_back(link.from, link.to);
  shape.devices = devices.size();
  shape.micro_batches = micro_batches;
  shape.training = training;
  return shape;
}

std::uint64_t PipelinePlan::device_bytes(int index) const {
  std::uint64_t bytes = workspace_bytes[static_cast<std::size_t>(index)];
  for (const StageMemory& unit : memory)
    if (device_of(unit) == index) bytes += unit.bytes().sum() - unit.workspace_bytes();
  return bytes;
}

MemoryBytes bytes_without_recompute(const Network& network, const StageMemory& unit) {
  MemoryNeeds needs = unit.needs();
  needs.recompute = false;
  keep_outputs(needs.slots);
  return StageMemory(network, unit.stage(), unit.replica(), needs, unit.shared_placement()).bytes();
}

PipelinePlan plan_pipeline(const Network& network, const DeviceSet& devices, const PipelineOptions& options,
                           const Optimizer* optimizer) {
  PipelinePlan plan;
  const BatchCut cut{options.batch, options.batch, options.micro_batch};
  plan.shape = schedule_shape(network, devices, cut.micro_batches(), options.training);
  check_links(plan.shape, network);
  plan.sample_shape = plan.shape;
  ScheduleShape inference_shape = plan.shape;
  inference_shape.training = false;
  plan.measured = options.costs.has_value();
  plan.costs = with_given_costs(
      options.costs ? *options.costs : estimated_costs(network, devices, plan.shape, options.micro_batch), network,
      plan.shape);
  plan.inference = generate(*find_schedule_type("inference"), {inference_shape, plan.costs, {}});
  const std::string name = schedule_name(options);
  const bool unflushed = options.training && options.weight_versions != WeightVersions::flush;
  if (unflushed)
    plan_unflushed(plan, options);
  else if (!options.training)
    plan.schedule = plan.inference;
  else if (options.custom)
    plan.schedule = *options.custom;
  else
    plan.schedule = generate(*options.schedule,
                             {plan.shape, plan.costs, memory_limits(plan, network, devices, options, optimizer)});
  if (!unflushed)
    plan.limits = natural_limits(plan.schedule, plan.shape, options.in_flight, options.link_capacity,
                                 name == "auto" ? plan.costs : ActionCosts());
  plan.inference_limits = options.training ? natural_limits(plan.inference, inference_shape) : plan.limits;
  share_slots(plan, network);
  if (const auto problems = check_schedule(plan.schedule, plan.sample_shape, plan.limits); !problems.empty())
    throw InputError(cannot_run(name, plan.schedule, plan.sample_shape, plan.limits, problems[0]));
  if (const auto problems = check_schedule(plan.inference, inference_shape, plan.inference_limits); !problems.empty())
    throw InputError(cannot_run("inference", plan.inference, inference_shape, plan.inference_limits, problems[0]));
  plan_memory(plan, network, devices, options, optimizer);
  check_device_bytes(plan, devices, options);
  return plan;
}

}  // namespace lenet_flow

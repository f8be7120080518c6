#include "tests/engine/schedule/schedule_cases.h"

#include <algorithm>
#include <numeric>

namespace lenet_flow::schedule_cases {
namespace {

int between(int low, int high, std::mt19937& random) { return std::uniform_int_distribution<int>(low, high)(random); }

void chain_up(ScheduleShape& shape) {
  for (int stage = 1; stage < shape.stages(); ++stage) shape.links.push_back({stage - 1, stage});
}

void link_by_chance(ScheduleShape& shape, std::mt19937& random) {
  const int likely = between(0, 3, random);  // a chain with skips, or looser
  for (int from = 0; from < shape.stages(); ++from)
    for (int to = from + 1; to < shape.stages(); ++to) {
      const bool next = to == from + 1 && likely > 0;
      if (next || between(0, 4, random) == 0) shape.links.push_back({from, to});
    }
}

}  // namespace

ScheduleShape chain(int stages, int micro_batches) {
  ScheduleShape shape;
  shape.devices = stages;
  shape.micro_batches = micro_batches;
  for (int stage = 0; stage < stages; ++stage) shape.devices_of_stage.push_back({stage});
  chain_up(shape);
  return shape;
}

ScheduleShape looped_chain(int devices, int per_device, int micro_batches) {
  ScheduleShape shape;
  shape.devices = devices;
  shape.micro_batches = micro_batches;
  for (int stage = 0; stage < devices * per_device; ++stage) shape.devices_of_stage.push_back({stage % devices});
  chain_up(shape);
  return shape;
}

ScheduleShape v_chain(int devices, int micro_batches) {
  ScheduleShape shape;
  shape.devices = devices;
  shape.micro_batches = micro_batches;
  for (int stage = 0; stage < 2 * devices; ++stage)
    shape.devices_of_stage.push_back({std::min(stage, 2 * devices - 1 - stage)});
  chain_up(shape);
  return shape;
}

ScheduleShape random_shape(std::mt19937& random) {
  ScheduleShape shape;
  shape.devices = between(1, 4, random);
  shape.micro_batches = between(1, 12, random);
  const int stages = between(1, 8, random);
  std::vector<int> devices(static_cast<std::size_t>(shape.devices));
  std::iota(devices.begin(), devices.end(), 0);
  for (int stage = 0; stage < stages; ++stage) {
    std::shuffle(devices.begin(), devices.end(), random);
    const int replicas = between(0, 1, random) == 0 ? 1 : between(1, std::min(3, shape.devices), random);
    shape.devices_of_stage.emplace_back(devices.begin(), devices.begin() + replicas);
  }
  link_by_chance(shape, random);
  return shape;
}

ScheduleShape random_folded_shape(std::mt19937& random) {
  const bool v = between(0, 1, random) == 0;
  const int ranks = between(1, 4, random), replicas = between(1, 3, random);
  const int stages = v ? 2 * ranks : between(ranks + 1, 3 * ranks, random);
  ScheduleShape shape;
  shape.devices = ranks * replicas;
  shape.micro_batches = between(1, 12, random);
  std::vector<int> devices(static_cast<std::size_t>(shape.devices));
  std::iota(devices.begin(), devices.end(), 0);
  std::shuffle(devices.begin(), devices.end(), random);
  for (int stage = 0; stage < stages; ++stage) {
    const int rank = v ? std::min(stage, 2 * ranks - 1 - stage) : stage % ranks;
    shape.devices_of_stage.emplace_back();
    for (int replica = 0; replica < replicas; ++replica)
      shape.devices_of_stage.back().push_back(devices[static_cast<std::size_t>(replica * ranks + rank)]);
  }
  link_by_chance(shape, random);
  return shape;
}

ActionCosts random_costs(const ScheduleShape& shape, std::mt19937& random) {
  const auto time = [&] { return between(0, 3, random) == 0 ? between(0, 10, random) : between(1, 4, random); };
  ActionCosts costs = ActionCosts::equal(shape);
  for (auto& stage : costs.stages) {
    stage.forward = time();
    stage.input_gradients = time();
    stage.parameter_gradients = time();
    stage.update = between(0, 1, random);
  }
  const bool free = between(0, 1, random) == 0;
  for (double& transfer : costs.transfers) transfer = free ? 0 : 0.5 * between(0, 6, random);
  return costs;
}

std::string describe(const ScheduleShape& shape) {
  std::string text = std::to_string(shape.micro_batches) + " micro-batches, devices";
  for (const auto& devices : shape.devices_of_stage) {
    text += ' ';
    for (std::size_t i = 0; i < devices.size(); ++i) {
      if (i > 0) text += '+';
      text += std::to_string(devices[i]);
    }
  }
  text += ", links";
  for (const auto& [from, to] : shape.links) {
    text += ' ';
    text += std::to_string(from);
    text += '-';
    text += std::to_string(to);
  }
  return text;
}

}  // namespace lenet_flow::schedule_cases

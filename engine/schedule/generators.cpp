// The schedules that ship. To add one: write a function from a request to lists, most easily a ListPolicy (any
// placement) or a list for each rank (folded_generators.cpp), and a line in all_types(); see README.md.

#include <algorithm>
#include <cmath>
#include <set>
#include <stdexcept>

#include "engine/schedule/generators.h"
#include "engine/schedule/list_scheduler.h"
#include "engine/schedule/stage_graph.h"

namespace lenet_flow {

Schedule with_updates(Schedule schedule, const ScheduleShape& shape) {
  if (!shape.training) return schedule;
  for (int stage = 0; stage < shape.stages(); ++stage) {
    const Action update{stage, ActionKind::update, 0};
    auto& list = schedule[static_cast<std::size_t>(shape.device_of(update))];
    if (std::find(list.begin(), list.end(), update) != list.end()) continue;
    auto behind = list.rbegin();
    if (shape.replicas(stage) == 1)
      behind = std::find_if(list.rbegin(), list.rend(), [&](const Action& action) {
        return action.stage == stage &&
               (action.kind == ActionKind::backward || action.kind == ActionKind::parameter_gradients);
      });
    list.insert(behind.base(), update);
  }
  return schedule;
}

std::vector<int> warm_up(const ScheduleShape& shape) {
  std::vector<double> replicas;
  for (int stage = 0; stage < shape.stages(); ++stage) replicas.push_back(shape.replicas(stage));
  const std::vector<double> path = StageGraph(shape).longest_to_end(replicas);
  std::vector<int> counts;
  for (std::size_t stage = 0; stage < path.size(); ++stage)
    counts.push_back(static_cast<int>(std::ceil(path[stage] / replicas[stage])));
  return counts;
}

namespace {

/// The lists of a policy where all actions take equally long. Forward-only shapes have nothing to hold a stage back but
/// what links hold.
Schedule with_equal_costs(const ScheduleShape& shape, ListPolicy policy) {
  if (!shape.training) {
    policy = {};
    policy.ahead = StageGraph(shape).longest_jump() + 1;
  }
  return list_schedule(shape, ActionCosts::equal(shape), policy);
}

}  // namespace

Schedule inference(const ScheduleRequest& request) { return with_equal_costs(request.shape, {}); }

namespace {

/// One micro-batch after another through all stages: what every other schedule must equal bit for bit.
Schedule sequential(const ScheduleRequest& request) {
  const ScheduleShape& shape = request.shape;
  Schedule schedule(static_cast<std::size_t>(shape.devices));
  const auto add = [&](int stage, ActionKind kind, int micro_batch) {
    const Action action{stage, kind, micro_batch};
    schedule[static_cast<std::size_t>(shape.device_of(action))].push_back(action);
  };
  for (int micro_batch = 0; micro_batch < shape.micro_batches; ++micro_batch) {
    for (int stage = 0; stage < shape.stages(); ++stage) add(stage, ActionKind::forward, micro_batch);
    if (!shape.training) continue;
    for (int stage = shape.stages() - 1; stage >= 0; --stage) add(stage, ActionKind::backward, micro_batch);
  }
  return with_updates(std::move(schedule), shape);
}

/// Huang et al., "GPipe: Efficient Training of Giant Neural Networks using Pipeline Parallelism", NeurIPS 2019: all
/// forward, then all backward.
Schedule gpipe(const ScheduleRequest& request) {
  ListPolicy policy;
  policy.forward_first = true;
  return with_equal_costs(request.shape, policy);
}

/// Narayanan et al., "PipeDream: Generalized Pipeline Parallelism for DNN Training", SOSP 2019, with a flush
/// (Narayanan et al., "Memory-Efficient Pipeline-Parallel DNN Training", ICML 2021): F until the first micro-batch
/// comes back, then B and F in turn.
Schedule one_forward_one_backward(const ScheduleRequest& request) {
  ListPolicy policy;
  policy.waiting = warm_up(request.shape);
  return with_equal_costs(request.shape, policy);
}

/// Qi et al., "Zero Bubble Pipeline Parallelism", ICLR 2024, section 2.3.1 (ZB-H1): the warm-up of 1F1B and its memory;
/// I at once, W later, where there would be a bubble.
Schedule zero_bubble_h1(const ScheduleRequest& request) {
  ListPolicy policy;
  policy.split = policy.prefer_forward = true;
  policy.waiting = warm_up(request.shape);
  policy.held.assign(policy.waiting.size(), *std::max_element(policy.waiting.begin(), policy.waiting.end()));
  return with_equal_costs(request.shape, policy);
}

/// Qi et al., section 2.3.2 (ZB-H2): F fills the bubble before the first I too, for twice the memory, so that no device
/// idles between its first and its last action.
Schedule zero_bubble_h2(const ScheduleRequest& request) {
  ListPolicy policy;
  policy.split = policy.prefer_forward = true;
  policy.waiting = warm_up(request.shape);
  for (int& count : policy.waiting) count = 2 * count - 1;
  policy.held.assign(policy.waiting.size(), *std::max_element(policy.waiting.begin(), policy.waiting.end()));
  return with_equal_costs(request.shape, policy);
}

Schedule custom(const ScheduleRequest&) {
  throw std::logic_error("custom: the lists are read from a file, read_schedule_csv()");
}

std::string fits_all(const ScheduleShape&) { return ""; }

/// True where the stages form one chain, one replica each, on a device each: what most formulas assume.
bool plain_chain(const ScheduleShape& shape) {
  const std::set<std::pair<int, int>> links(shape.links.begin(), shape.links.end());
  std::set<int> devices;
  for (int stage = 0; stage < shape.stages(); ++stage) {
    if (stage > 0 && !links.contains({stage - 1, stage})) return false;
    if (shape.replicas(stage) != 1 ||
        !devices.insert(shape.devices_of_stage[static_cast<std::size_t>(stage)][0]).second)
      return false;
  }
  return links.size() + 1 == static_cast<std::size_t>(shape.stages());
}

/// The bubble of stages of which each works `work` units of `idle` + `work` in all.
double share(double idle, double work) { return idle / (idle + work); }

std::optional<double> no_formula(const ScheduleShape&) { return {}; }

std::optional<double> sequential_bubble(const ScheduleShape& shape) {
  if (!plain_chain(shape)) return {};
  return 1.0 - 1.0 / shape.stages();
}

/// (p - 1) / (m + p - 1) for p stages and m micro-batches (GPipe, section 2.3).
std::optional<double> fill_and_drain_bubble(const ScheduleShape& shape) {
  if (!plain_chain(shape)) return {};
  return share(shape.stages() - 1.0, shape.micro_batches);
}

/// The last device begins p - 1 units after the first; Qi et al. count no idle time but that of ZB-H1,
/// (p - 1) (F + I - W), which covers it, and ZB-H2's, (p - 1) (F + I - 2 W), which does not when all are equal: there
/// devices begin and end one unit apart. Either way a batch lasts 3 m + p - 1.
std::optional<double> zero_bubble(const ScheduleShape& shape, int needed) {
  if (!shape.training) return fill_and_drain_bubble(shape);
  if (!plain_chain(shape) || shape.micro_batches < needed) return {};
  return share(shape.stages() - 1.0, 3.0 * shape.micro_batches);
}
std::optional<double> h1_bubble(const ScheduleShape& shape) { return zero_bubble(shape, shape.stages()); }
std::optional<double> h2_bubble(const ScheduleShape& shape) { return zero_bubble(shape, 2 * shape.stages() - 1); }

/// True for a chain with one replica a stage; the placement has passed misfit().
bool folded_chain(const ScheduleShape& shape) {
  ScheduleShape spread = shape;
  for (int stage = 0; stage < shape.stages(); ++stage) {
    if (shape.replicas(stage) != 1) return false;
    spread.devices_of_stage[static_cast<std::size_t>(stage)] = {stage};
  }
  return shape.training && plain_chain(spread);
}

int devices_used(const ScheduleShape& shape) {
  std::set<int> devices;
  for (const auto& replicas : shape.devices_of_stage) devices.insert(replicas.begin(), replicas.end());
  return static_cast<int>(devices.size());
}

/// (p - 1) / (v m + p - 1) for v stages a device and m a multiple of p (Narayanan et al., SC 2021, section 2.2.2: there
/// over the ideal time, (p - 1) / (v m)).
std::optional<double> interleaved_bubble(const ScheduleShape& shape) {
  const int devices = devices_used(shape);
  if (!folded_chain(shape) || shape.stages() % devices != 0 || shape.micro_batches % devices != 0) return {};
  const int stages_a_device = shape.stages() / devices;
  return share(devices - 1.0, stages_a_device * shape.micro_batches);
}

/// As zero_bubble(), with two stages a device.
std::optional<double> zb_v_bubble(const ScheduleShape& shape) {
  const int devices = devices_used(shape);
  if (!folded_chain(shape) || shape.micro_batches < 2 * devices - 1) return {};
  return share(devices - 1.0, 6.0 * shape.micro_batches);
}

/// As zb_v_bubble(): with F, I and W equally long, and F and B of a pair one after the other, a batch lasts 6 m + p
/// - 1. (The table in DeepSeek's repository is of devices that run the two at once, in a time F&B that they measure.)
std::optional<double> dualpipe_v_bubble(const ScheduleShape& shape) {
  const int devices = devices_used(shape);
  if (!folded_chain(shape) || shape.micro_batches < 2 * devices) return {};
  return share(devices - 1.0, 6.0 * shape.micro_batches);
}

constexpr const char* zero_bubble_paper = "Qi et al., Zero Bubble Pipeline Parallelism, ICLR 2024";

std::vector<ScheduleType> all_types() {
  return {
      {"gpipe", "all forward, then all backward; micro-batches overlap across stages",
       "Huang et al., GPipe, NeurIPS 2019", fits_all, gpipe, fill_and_drain_bubble},
      {"1f1b", "forward and backward in turn; as fast as gpipe, with no more micro-batches held than stages follow",
       "Narayanan et al., PipeDream, SOSP 2019", fits_all, one_forward_one_backward, fill_and_drain_bubble},
      {"interleaved_1f1b", "1f1b over several stages a device: a smaller bubble, more transfers",
       "Narayanan et al., Efficient Large-Scale Language Model Training on GPU Clusters Using Megatron-LM, SC 2021",
       looped_misfit, interleaved_1f1b, interleaved_bubble},
      {"zero_bubble_h1", "backward in two halves, the second fills bubbles; the memory of 1f1b", zero_bubble_paper,
       fits_all, zero_bubble_h1, h1_bubble},
      {"zero_bubble_h2", "no bubble between batches, for about twice the memory of 1f1b", zero_bubble_paper, fits_all,
       zero_bubble_h2, h2_bubble},
      {"zb_v", "no bubble between batches with the memory of 1f1b; two stages a device, folded into a V",
       zero_bubble_paper, v_misfit, zb_v, zb_v_bubble},
      {"dualpipe_v", "two directions at once over stages folded into a V, F of one next to B of the other",
       "DeepSeek-AI, DeepSeek-V3 Technical Report, 2024", v_misfit, dualpipe_v, dualpipe_v_bubble},
      {"auto", "made for the measured times, the transfers and the memory; never slower than the best of the others",
       zero_bubble_paper, fits_all, auto_schedule, no_formula},
      {"sequential", "one micro-batch after another through all stages; the reference for exactness", "", fits_all,
       sequential, sequential_bubble},
  };
}

}  // namespace

const std::vector<ScheduleType>& schedule_types() {
  static const std::vector<ScheduleType> types = all_types();
  return types;
}

std::vector<std::string> schedule_names() {
  std::vector<std::string> names;
  for (const ScheduleType& type : schedule_types()) names.push_back(type.name);
  return names;
}

const ScheduleType* find_schedule_type(std::string_view name) {
  static const ScheduleType not_chosen[] = {
      {"inference", "forward only, each micro-batch as soon as it can; chosen by the mode", "", fits_all, inference,
       fill_and_drain_bubble},
      {"custom", "the lists of a CSV file, one line a device", "", fits_all, custom, no_formula},
  };
  for (const ScheduleType& type : schedule_types())
    if (type.name == name) return &type;
  for (const ScheduleType& type : not_chosen)
    if (type.name == name) return &type;
  return nullptr;
}

}  // namespace lenet_flow

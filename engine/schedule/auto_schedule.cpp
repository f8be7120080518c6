#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <tuple>

#include "engine/schedule/generators.h"
#include "engine/schedule/list_scheduler.h"
#include "engine/schedule/simulate.h"
#include "engine/schedule/stage_graph.h"

namespace lenet_flow {
namespace {

constexpr int whole_batch = std::numeric_limits<int>::max();

/// How many micro-batches a stage must begin before the first comes back so that it never waits for one: the time of a
/// micro-batch's way from the stage to the end and back over the time that the busiest device spends on a micro-batch,
/// for each of its replicas. `back` weighs the way back: 1 for I alone, more to leave room for W in between.
std::vector<int> round_trips(const ScheduleShape& shape, const ActionCosts& costs, bool split, double back) {
  std::vector<double> load(static_cast<std::size_t>(shape.devices), 0.0), way;
  const double slowest_link =
      costs.transfers.empty() ? 0.0 : *std::max_element(costs.transfers.begin(), costs.transfers.end());
  for (int stage = 0; stage < shape.stages(); ++stage) {
    const auto& of = costs.stages[static_cast<std::size_t>(stage)];
    const double whole = of.forward + of.input_gradients + of.parameter_gradients;
    for (const int device : shape.devices_of_stage[static_cast<std::size_t>(stage)])
      load[static_cast<std::size_t>(device)] += whole / shape.replicas(stage);
    way.push_back(of.forward + back * (of.input_gradients + (split ? 0.0 : of.parameter_gradients)) + 2 * slowest_link);
  }
  const double period = *std::max_element(load.begin(), load.end());
  const std::vector<double> path = StageGraph(shape).longest_to_end(way);
  std::vector<int> counts;
  for (int stage = 0; stage < shape.stages(); ++stage) {
    const double count =
        period > 0 ? std::ceil(path[static_cast<std::size_t>(stage)] / (period * shape.replicas(stage)) - 1e-9) : 1;
    counts.push_back(static_cast<int>(std::clamp(count, 1.0, static_cast<double>(shape.micro_batches))));
  }
  return counts;
}

/// A list scheduler's policies from which `auto` chooses, as Qi et al. search (section 3.1): how many F before the
/// first I, how long W may wait, and whether a device waits for a little rather than begin a W.
std::vector<ListPolicy> policies(const ScheduleRequest& request) {
  std::vector<ListPolicy> all;
  for (const bool split : {true, false}) {
    std::set<std::vector<int>> warm_ups{warm_up(request.shape)};
    for (const double back : {1.0, 1.5, 2.0, 3.0}) {
      std::vector<int> counts = round_trips(request.shape, request.costs, split, back);
      warm_ups.insert(counts);
      for (int& count : counts) ++count;
      warm_ups.insert(counts);
    }
    warm_ups.insert(std::vector<int>(static_cast<std::size_t>(request.shape.stages()), whole_batch));
    for (const std::vector<int>& waiting : warm_ups) {
      ListPolicy policy;
      policy.split = split;
      policy.waiting = waiting;
      policy.memory = &request.memory;
      if (!split) {
        all.push_back(policy);
        continue;
      }
      for (const double patience : {0.0, 0.5, 1.0}) {
        policy.patience = patience;
        const int most = *std::max_element(waiting.begin(), waiting.end());
        for (const int held : {most, most > whole_batch / 2 ? whole_batch : 2 * most}) {
          policy.held.assign(waiting.size(), held);
          all.push_back(policy);
          if (most == whole_batch) break;
        }
      }
    }
  }
  return all;
}

/// The best schedule so far: of those that fit the memory (the first, where none does) the shortest batch, of equally
/// short ones the shortest row of four batches, of these the one that holds the fewest micro-batches.
class Best {
 public:
  explicit Best(const ScheduleRequest& request) : request_(request) {}

  void consider(Schedule schedule) {
    if (schedule == best_) return;
    const ScheduleShape& shape = request_.shape;
    const bool fits = check_memory(schedule, shape, request_.memory).empty();
    if (!fits && found_) return;
    const double batch = simulate(schedule, shape, request_.costs, unbounded()).length;
    const double tolerance = 1e-9 * batch;
    if (found_ && fits == fits_ && batch > batch_ + tolerance) return;
    const Simulation row = simulate(schedule, shape, request_.costs, unbounded(), 4);
    int held = 0;
    for (const StageSlots& slots : row.peak_slots) held += slots.activations;
    const bool better = !found_ || fits != fits_ || batch < batch_ - tolerance || row.length < row_ - tolerance ||
                        (row.length <= row_ + tolerance && held < held_);
    if (!better) return;
    best_ = std::move(schedule);
    std::tie(found_, fits_, batch_, row_, held_) = std::tuple(true, fits, batch, row.length, held);
  }
  Schedule take() { return std::move(best_); }

 private:
  const ScheduleRequest& request_;
  Schedule best_;
  bool found_ = false, fits_ = false;
  double batch_ = 0, row_ = 0;
  int held_ = 0;
};

}  // namespace

/// List scheduling with the given times, as Qi et al., "Zero Bubble Pipeline Parallelism", ICLR 2024, section 3.1, do:
/// a grid of policies, each played in the simulator; and every schedule with a name that fits the placement and the
/// memory, so that none of them is better. Where no schedule keeps to the memory, `sequential`, which holds least.
Schedule auto_schedule(const ScheduleRequest& request) {
  ScheduleRequest known = request;
  if (known.costs.stages.empty()) known.costs = ActionCosts::equal(request.shape);
  if (!request.shape.training) return inference(known);
  Best best(known);
  best.consider(find_schedule_type("sequential")->generate(known));
  for (const ScheduleType& type : schedule_types())
    if (type.generate != auto_schedule && type.misfit(request.shape).empty()) best.consider(type.generate(known));
  for (const ListPolicy& policy : policies(known)) best.consider(list_schedule(known.shape, known.costs, policy));
  return best.take();
}

}  // namespace lenet_flow

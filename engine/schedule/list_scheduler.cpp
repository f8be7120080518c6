#include "engine/schedule/list_scheduler.h"

#include <algorithm>
#include <optional>
#include <stdexcept>
#include <tuple>

#include "engine/schedule/stage_graph.h"

namespace lenet_flow {
namespace {

constexpr double never = std::numeric_limits<double>::infinity();

class ListScheduler {
 public:
  ListScheduler(const ScheduleShape& shape, const ActionCosts& costs, const ListPolicy& policy)
      : shape_(shape),
        costs_(costs),
        policy_(policy),
        graph_(shape),
        depth_(graph_.longest_to_end(std::vector<double>(static_cast<std::size_t>(shape.stages()), 1.0))),
        end_(static_cast<std::size_t>(shape.stages() * action_kinds * shape.micro_batches), never),
        replicas_of_device_(static_cast<std::size_t>(shape.devices)),
        free_at_(static_cast<std::size_t>(shape.devices), 0.0),
        held_bytes_(static_cast<std::size_t>(shape.devices), 0.0),
        reserved_bytes_(static_cast<std::size_t>(shape.devices), 0.0),
        forwards_left_(static_cast<std::size_t>(shape.devices), 0),
        updated_(static_cast<std::size_t>(shape.stages()), false),
        schedule_(static_cast<std::size_t>(shape.devices)) {
    for (int stage = 0; stage < shape.stages(); ++stage)
      for (int replica = 0; replica < shape.replicas(stage); ++replica) add_replica(stage, replica);
  }

  Schedule run() {
    for (; now_ < never; now_ = next_time()) {
      for (bool started = true; started;) {
        started = false;
        for (std::size_t device = 0; device < schedule_.size(); ++device)
          if (free_at_[device] <= now_)
            if (const std::optional<Choice> choice = choose(device)) {
              start(device, *choice);
              started = true;
            }
      }
    }
    for (const auto& replicas : replicas_of_device_)
      for (const Replica& replica : replicas)
        if (replica.next[static_cast<int>(ActionKind::forward)] < shape_.micro_batches)
          throw std::logic_error("list_schedule: came to a stop");
    return std::move(schedule_);
  }

 private:
  /// A stage on one of its devices, and how far it has come.
  struct Replica {
    int stage = 0, replica = 0;
    int next[action_kinds] = {};  ///< the next micro-batch, by kind of action
    int waiting = 0, held = 0;    ///< F without I or B; F without W or B
  };
  struct Choice {
    std::size_t replica;  ///< position in replicas_of_device_
    Action action;
  };

  void add_replica(int stage, int replica) {
    const auto device = static_cast<std::size_t>(
        shape_.devices_of_stage[static_cast<std::size_t>(stage)][static_cast<std::size_t>(replica)]);
    Replica added{stage, replica, {}, 0, 0};
    std::fill(added.next, added.next + action_kinds, replica);
    added.next[static_cast<int>(ActionKind::update)] = 0;
    replicas_of_device_[device].push_back(added);
    for (int i = replica; i < shape_.micro_batches; i += shape_.replicas(stage)) ++forwards_left_[device];
    if (policy_.memory == nullptr) return;
    const auto at = static_cast<std::size_t>(stage);
    if (!policy_.memory->micro_batch_bytes.empty()) reserved_bytes_[device] += policy_.memory->micro_batch_bytes[at];
    if (!policy_.memory->fixed_bytes.empty()) held_bytes_[device] += policy_.memory->fixed_bytes[at];
  }

  double& end(const Action& action) {
    return end_[static_cast<std::size_t>(
        (action.stage * action_kinds + static_cast<int>(action.kind)) * shape_.micro_batches + action.micro_batch)];
  }
  ActionKind gradients() const { return policy_.split ? ActionKind::input_gradients : ActionKind::backward; }
  ActionKind last() const {
    if (!shape_.training) return ActionKind::forward;
    return policy_.split ? ActionKind::parameter_gradients : ActionKind::backward;
  }

  /// When what `action` reads over a link from `from` is there; never where that is not known yet.
  double arrival(const Action& from, int link, const Action& action) {
    const bool crosses = shape_.device_of(from) != shape_.device_of(action);
    return end(from) + (crosses ? costs_.transfers[static_cast<std::size_t>(link)] : 0.0);
  }

  /// When all that an action needs is there, bounds left out.
  double ready_at(const Action& action) {
    const auto stage = static_cast<std::size_t>(action.stage);
    double ready = 0;
    switch (action.kind) {
      case ActionKind::forward:
        for (const auto& [from, link] : graph_.before[stage])
          ready = std::max(ready, arrival({from, action.kind, action.micro_batch}, link, action));
        return ready;
      case ActionKind::input_gradients:
      case ActionKind::backward:
        ready = end({action.stage, ActionKind::forward, action.micro_batch});
        for (const auto& [from, link] : graph_.after[stage])
          ready = std::max(ready, arrival({from, action.kind, action.micro_batch}, link, action));
        return ready;
      case ActionKind::parameter_gradients: return end({action.stage, ActionKind::input_gradients, action.micro_batch});
      case ActionKind::update:
        for (int i = 0; i < shape_.micro_batches; ++i) ready = std::max(ready, end({action.stage, last(), i}));
        return ready;
    }
    return never;
  }

  /// True where a bound of the policy keeps a replica from its next F.
  bool held_up(std::size_t device, const Replica& replica, int micro_batch) {
    const auto stage = static_cast<std::size_t>(replica.stage);
    if (!policy_.waiting.empty() && replica.waiting >= policy_.waiting[stage]) return true;
    if (!policy_.held.empty() && replica.held >= policy_.held[stage]) return true;
    if (micro_batch >= policy_.ahead)
      for (const auto& [next, link] : graph_.after[stage])
        if (end({next, ActionKind::forward, micro_batch - policy_.ahead}) > now_) return true;
    return !fits(device, replica.stage, micro_batch);
  }

  /// The oldest micro-batch always finds its place: whatever else is held, a device keeps room for a whole one.
  bool fits(std::size_t device, int stage, int micro_batch) {
    if (policy_.memory == nullptr || policy_.memory->micro_batch_bytes.empty() || policy_.memory->device_bytes.empty())
      return true;
    const int oldest = oldest_micro_batch();
    if (micro_batch == oldest) return true;
    double others = held_bytes_[device];  // less what the oldest holds there
    for (const Replica& replica : replicas_of_device_[device]) {
      const auto holds = [&](ActionKind kind) { return replica.next[static_cast<int>(kind)] > oldest; };
      if (oldest % shape_.replicas(replica.stage) == replica.replica && holds(ActionKind::forward) && !holds(last()))
        others -= policy_.memory->micro_batch_bytes[static_cast<std::size_t>(replica.stage)];
    }
    return others + policy_.memory->micro_batch_bytes[static_cast<std::size_t>(stage)] + reserved_bytes_[device] <=
           policy_.memory->device_bytes[device];
  }

  /// The first micro-batch of which some stage has not begun the last action.
  int oldest_micro_batch() const {
    int oldest = shape_.micro_batches;
    for (const auto& replicas : replicas_of_device_)
      for (const Replica& replica : replicas) oldest = std::min(oldest, replica.next[static_cast<int>(last())]);
    return oldest;
  }

  /// The next action of a kind of a replica, if one is left and no bound forbids it.
  std::optional<Action> candidate(std::size_t device, const Replica& replica, ActionKind kind) {
    const int micro_batch = replica.next[static_cast<int>(kind)];
    const Action action{replica.stage, kind, micro_batch};
    if (kind == ActionKind::update) {
      if (!shape_.training || replica.replica != 0 || updated_[static_cast<std::size_t>(replica.stage)]) return {};
      return action;
    }
    if (micro_batch >= shape_.micro_batches) return {};
    if (kind == ActionKind::forward) {
      if (held_up(device, replica, micro_batch)) return {};
      return action;
    }
    if (!shape_.training || (kind == ActionKind::backward) == policy_.split) return {};
    if (policy_.forward_first && forwards_left_[device] > 0) return {};
    return action;
  }

  std::optional<Choice> choose(std::size_t device) {
    const ActionKind first = policy_.prefer_forward ? ActionKind::forward : gradients();
    const ActionKind second = policy_.prefer_forward ? gradients() : ActionKind::forward;
    double next_arrival = never;  // of an action that is preferred to W
    for (const ActionKind kind : {ActionKind::update, first, second, ActionKind::parameter_gradients}) {
      std::optional<Choice> best;
      for (std::size_t i = 0; i < replicas_of_device_[device].size(); ++i) {
        const std::optional<Action> action = candidate(device, replicas_of_device_[device][i], kind);
        if (!action) continue;
        const double ready = ready_at(*action);
        if (ready > now_) {
          if (kind != ActionKind::update) next_arrival = std::min(next_arrival, ready);
        } else if (!best || before(*action, best->action)) {
          best = Choice{i, *action};
        }
      }
      if (!best) continue;
      const bool waits =
          kind == ActionKind::parameter_gradients && next_arrival < now_ + policy_.patience * costs_.of(best->action);
      if (!waits) return best;
    }
    return {};
  }

  /// Which of two actions of one kind comes first.
  bool before(const Action& one, const Action& other) const {
    const auto key = [&](const Action& action) {
      return std::tuple(action.micro_batch, depth_[static_cast<std::size_t>(action.stage)]);
    };
    return key(one) < key(other);
  }

  void start(std::size_t device, const Choice& choice) {
    const Action& action = choice.action;
    Replica& replica = replicas_of_device_[device][choice.replica];
    schedule_[device].push_back(action);
    free_at_[device] = end(action) = now_ + costs_.of(action);
    if (action.kind == ActionKind::update) {
      updated_[static_cast<std::size_t>(action.stage)] = true;
      return;
    }
    replica.next[static_cast<int>(action.kind)] += shape_.replicas(action.stage);
    const double bytes = policy_.memory == nullptr || policy_.memory->micro_batch_bytes.empty()
                             ? 0.0
                             : policy_.memory->micro_batch_bytes[static_cast<std::size_t>(action.stage)];
    if (action.kind == ActionKind::forward) {
      --forwards_left_[device];
      ++replica.waiting;
      ++replica.held;
      held_bytes_[device] += bytes;
    }
    if (action.kind == gradients()) --replica.waiting;
    if (action.kind == last()) {
      --replica.held;
      held_bytes_[device] -= bytes;
    }
  }

  /// The next time at which a device becomes free or something that it could do becomes ready.
  double next_time() {
    double next = never;
    for (std::size_t device = 0; device < schedule_.size(); ++device) {
      if (free_at_[device] > now_) next = std::min(next, free_at_[device]);
      for (const Replica& replica : replicas_of_device_[device])
        for (int kind = 0; kind < action_kinds; ++kind)
          if (const auto action = candidate(device, replica, static_cast<ActionKind>(kind))) {
            const double ready = ready_at(*action);
            if (ready > now_) next = std::min(next, ready);
          }
    }
    return next;
  }

  const ScheduleShape& shape_;
  const ActionCosts& costs_;
  const ListPolicy& policy_;
  StageGraph graph_;
  std::vector<double> depth_;  ///< stages on the longest path to the end
  double now_ = 0;
  std::vector<double> end_;  ///< by stage, kind and micro-batch; never where it has not begun
  std::vector<std::vector<Replica>> replicas_of_device_;
  std::vector<double> free_at_;
  std::vector<double> held_bytes_, reserved_bytes_;  ///< by device; what a whole micro-batch takes there
  std::vector<int> forwards_left_;                   ///< by device
  std::vector<bool> updated_;                        ///< by stage
  Schedule schedule_;
};

}  // namespace

Schedule list_schedule(const ScheduleShape& shape, const ActionCosts& costs, const ListPolicy& policy) {
  return ListScheduler(shape, costs, policy).run();
}

}  // namespace lenet_flow

// Schedules for which the stages are folded onto the devices: several stages a device, in an order that the paper
// prescribes. Each is written as its paper lists it, rank by rank, for as many micro-batches as it is defined for;
// shorter batches leave actions out. Any links will do, since an order that is right for a chain of all stages is right
// for fewer links.

#include <algorithm>
#include <deque>
#include <set>

#include "engine/schedule/generators.h"

namespace lenet_flow {
namespace {

/// How many devices, replicas counted once, run stages.
int ranks_of(const ScheduleShape& shape) {
  std::set<int> devices;
  for (const auto& replicas : shape.devices_of_stage) devices.insert(replicas[0]);
  return static_cast<int>(devices.size());
}

int looped_rank(int stage, int ranks) { return stage % ranks; }
int v_rank(int stage, int ranks) { return std::min(stage, 2 * ranks - 1 - stage); }

/// True where every stage has the same number of replicas, the r-th replicas of all form a pipeline of their own, and
/// in each of these rank_of() says which stages share a device.
bool folded(const ScheduleShape& shape, int ranks, int (*rank_of)(int stage, int ranks)) {
  const int replicas = shape.replicas(0);
  std::vector<int> device_of(static_cast<std::size_t>(ranks * replicas), -1);
  std::set<int> used;
  for (int stage = 0; stage < shape.stages(); ++stage) {
    if (shape.replicas(stage) != replicas) return false;
    for (int replica = 0; replica < replicas; ++replica) {
      const int device = shape.devices_of_stage[static_cast<std::size_t>(stage)][static_cast<std::size_t>(replica)];
      int& assigned = device_of[static_cast<std::size_t>(replica * ranks + rank_of(stage, ranks))];
      if (assigned == -1 && used.insert(device).second) assigned = device;
      if (assigned != device) return false;
    }
  }
  return true;
}

/// "stages run on devices 0, 1, 0, 1"
std::string placement_text(const ScheduleShape& shape) {
  std::string text = "stages run on devices ";
  for (int stage = 0; stage < shape.stages(); ++stage) {
    if (stage > 0) text += ", ";
    const auto& devices = shape.devices_of_stage[static_cast<std::size_t>(stage)];
    for (std::size_t replica = 0; replica < devices.size(); ++replica) {
      if (replica > 0) text += '+';
      text += std::to_string(devices[replica]);
    }
  }
  return text;
}

/// One rank's list, in the micro-batches of its own pipeline.
class RankList {
 public:
  /// Adds the next micro-batch's action of a kind of a stage.
  void add(int stage, ActionKind kind) {
    int& next = next_[static_cast<std::size_t>(kind)][stage];
    actions.push_back({stage, kind, next});
    if (kind == ActionKind::input_gradients) waiting_.push_back(actions.back());
    ++next;
    // I and B count on together: each micro-batch has one or the other.
    if (kind == ActionKind::input_gradients) next_[static_cast<std::size_t>(ActionKind::backward)][stage] = next;
    if (kind == ActionKind::backward) next_[static_cast<std::size_t>(ActionKind::input_gradients)][stage] = next;
  }
  /// Adds the W of the oldest I that has none yet.
  void add_waiting_parameter_gradients() {
    if (waiting_.empty()) return;
    actions.push_back({waiting_.front().stage, ActionKind::parameter_gradients, waiting_.front().micro_batch});
    waiting_.pop_front();
  }

  std::vector<Action> actions;

 private:
  struct Next {
    std::vector<std::pair<int, int>> by_stage;
    int& operator[](int stage) {
      for (auto& [known, next] : by_stage)
        if (known == stage) return next;
      return by_stage.emplace_back(stage, 0).second;
    }
  };
  Next next_[action_kinds];
  std::deque<Action> waiting_;
};

/// Makes a schedule from the lists that `list(rank, ranks, micro_batches)` gives for one pipeline.
template <typename List>
Schedule from_ranks(const ScheduleRequest& request, int (*rank_of)(int stage, int ranks), List&& list) {
  const ScheduleShape& shape = request.shape;
  if (!shape.training) return inference(request);
  const int ranks = ranks_of(shape), replicas = shape.replicas(0);
  Schedule schedule(static_cast<std::size_t>(shape.devices));
  for (int replica = 0; replica < replicas; ++replica) {
    const int micro_batches = (shape.micro_batches - replica + replicas - 1) / replicas;
    for (int stage = 0; stage < ranks; ++stage) {  // the first stages are on a rank each
      const int rank = rank_of(stage, ranks);
      const std::vector<Action> actions = list(rank, ranks, micro_batches);
      auto& target = schedule[static_cast<std::size_t>(
          shape.devices_of_stage[static_cast<std::size_t>(stage)][static_cast<std::size_t>(replica)])];
      for (Action action : actions) {
        if (action.micro_batch >= micro_batches) continue;
        action.micro_batch = action.micro_batch * replicas + replica;
        target.push_back(action);
      }
    }
  }
  return with_updates(std::move(schedule), shape);
}

}  // namespace

std::string looped_misfit(const ScheduleShape& shape) {
  const int ranks = ranks_of(shape);
  if (shape.stages() > ranks && folded(shape, ranks, looped_rank)) return "";
  return "needs two or more stages a device, dealt out in turn: with p devices, stages 0, p, 2p, ... on the first, 1, "
         "p+1, ... on the second, and so on (each stage with equally many replicas, each replica of a pipeline of its "
         "own); here " +
         placement_text(shape);
}

std::string v_misfit(const ScheduleShape& shape) {
  const int ranks = ranks_of(shape);
  if (shape.stages() == 2 * ranks && folded(shape, ranks, v_rank)) return "";
  return "needs two stages a device, down the devices and back up: with p devices, stages 0 and 2p-1 on the first, 1 "
         "and 2p-2 on the second, ..., p-1 and p on the last (each stage with equally many replicas, each replica of a "
         "pipeline of its own); here " +
         placement_text(shape);
}

/// Narayanan et al., "Efficient Large-Scale Language Model Training on GPU Clusters Using Megatron-LM", SC 2021,
/// section 2.2: 1F1B over chunks of the model, p micro-batches of one chunk after another.
Schedule interleaved_1f1b(const ScheduleRequest& request) {
  const int stages = request.shape.stages();
  return from_ranks(request, looped_rank, [stages](int rank, int ranks, int micro_batches) {
    const int chunks = (stages + ranks - 1) / ranks;
    const int padded = (micro_batches + ranks - 1) / ranks * ranks, total = padded * chunks;
    const int warm_up = std::min(total, 2 * (ranks - rank - 1) + (chunks - 1) * ranks);
    std::vector<Action> actions;
    const auto add = [&](ActionKind kind, int turn) {
      const int in_round = turn % (ranks * chunks) / ranks;
      const int chunk = kind == ActionKind::forward ? in_round : chunks - 1 - in_round;
      const int stage = chunk * ranks + rank;
      if (stage < stages) actions.push_back({stage, kind, turn / (ranks * chunks) * ranks + turn % ranks});
    };
    for (int turn = 0; turn < total + warm_up; ++turn) {
      if (turn < total) add(ActionKind::forward, turn);
      if (turn >= warm_up) add(ActionKind::backward, turn - warm_up);
    }
    return actions;
  });
}

/// Qi et al., "Zero Bubble Pipeline Parallelism", ICLR 2024, section 6 (ZB-V; more in their "Pipeline Parallelism with
/// Controllable Memory", NeurIPS 2024): stages folded into a V, so that the micro-batch that is first on a device is
/// also the first that comes back to it. No device idles between its first and last action where F, I and W are equal.
Schedule zb_v(const ScheduleRequest& request) {
  return from_ranks(request, v_rank, [](int rank, int ranks, int micro_batches) {
    const int padded = std::max(micro_batches, 2 * ranks - 1);
    const int down = rank, up = 2 * ranks - 1 - rank;
    RankList list;
    int begun_down = 0, begun_up = 0;
    const auto forward_down = [&] { list.add(down, ActionKind::forward), ++begun_down; };
    const auto forward_up = [&] { list.add(up, ActionKind::forward), ++begun_up; };
    const auto gradients = [&](int stage) {
      list.add(stage, ActionKind::input_gradients);
      list.add(stage, ActionKind::parameter_gradients);
    };
    // Warm-up: as many F of the way down as it takes the first micro-batch to come back, ...
    for (int i = 0; i < 2 * (ranks - rank) - 1; ++i) forward_down();
    for (int i = 0; i < rank; ++i) forward_up(), forward_down();
    // ... then the way up begins its gradients.
    for (int i = 0; i < ranks - rank; ++i) forward_up(), gradients(up);
    // Steady: F, I, W of the way down, F, I, W of the way up.
    while (begun_up < begun_down || begun_down < padded) {
      if (begun_down < padded) forward_down();
      gradients(down);
      forward_up();
      gradients(up);
    }
    // The end: I of both ways first, since others wait for them; W where there would be a bubble.
    for (int i = 0; i < rank; ++i) {
      list.add(down, ActionKind::input_gradients);
      list.add(up, ActionKind::input_gradients);
    }
    for (int i = 0; i < ranks - rank; ++i) gradients(down);
    for (int i = 0; i < rank; ++i) list.add(up, ActionKind::parameter_gradients);
    for (int i = 0; i < rank; ++i) list.add(down, ActionKind::parameter_gradients);
    return list.actions;
  });
}

/// DeepSeek-AI, "DeepSeek-V3 Technical Report", arXiv 2412.19437, 2024 (DualPipe), cut in half as in their DualPipeV
/// (github.com/deepseek-ai/DualPipe; Qi et al.): the two directions are the way down and the way up of a V. F of one
/// way stands next to B of the other, for devices that run them at the same time; here they run one after the other.
Schedule dualpipe_v(const ScheduleRequest& request) {
  return from_ranks(request, v_rank, [](int rank, int ranks, int micro_batches) {
    const int padded = std::max(micro_batches, 2 * ranks), below = ranks - rank - 1;
    const int down = rank, up = 2 * ranks - 1 - rank;
    constexpr ActionKind forward = ActionKind::forward, whole = ActionKind::backward;
    constexpr ActionKind inputs = ActionKind::input_gradients;
    RankList list;
    for (int i = 0; i < 2 * below; ++i) list.add(down, forward);                     // 1. F down
    for (int i = 0; i <= rank; ++i) list.add(down, forward), list.add(up, forward);  // 2. F down, F up
    for (int i = 0; i < below; ++i) {                                                // 3. I, W and F up
      list.add(up, inputs);
      list.add_waiting_parameter_gradients();
      list.add(up, forward);
    }
    for (int i = 0; i < padded - 2 * ranks + rank + 1; ++i) {  // 4. steady
      list.add(down, forward), list.add(up, whole);
      list.add(up, forward), list.add(down, whole);
    }
    for (int i = 0; i < below; ++i) {  // 5. no F down is left
      list.add(up, whole);
      list.add(up, forward), list.add(down, whole);
    }
    for (int turn = 0; turn < 2 * (rank + 1); ++turn)  // 6. from half on, I first
      list.add(turn % 2 == 0 ? up : down, turn <= rank ? whole : inputs);
    for (int i = 0; i < below; ++i) {  // 7. W and I down
      list.add_waiting_parameter_gradients();
      list.add(down, inputs);
    }
    for (int i = 0; i <= rank; ++i) list.add_waiting_parameter_gradients();  // 8. W that are left
    return list.actions;
  });
}

}  // namespace lenet_flow

#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "engine/graph/network.h"
#include "engine/pipeline/device_set.h"
#include "engine/pipeline/injected_delays.h"
#include "engine/pipeline/lane.h"
#include "engine/pipeline/micro_batch.h"
#include "engine/pipeline/stage_worker.h"
#include "engine/schedule/schedule.h"
#include "engine/trace/event_ring.h"
#include "engine/trace/record.h"

namespace lenet_flow {

class DeviceFlow;

/// Raises `value` to `to` where it is lower. From any thread.
inline void raise(std::atomic<Nanoseconds>& value, Nanoseconds to) {
  Nanoseconds before = value.load(std::memory_order_relaxed);
  while (before < to && !value.compare_exchange_weak(before, to, std::memory_order_relaxed)) {
  }
}

/// One step of an action, as a hook sees it: a layer's forward or backward work, the loss, an update.
struct StepFacts {
  int stage = 0;
  ActionKind kind = ActionKind::forward;
  std::string_view what;         ///< the layer's name; "loss", "update"
  std::int64_t micro_batch = 0;  ///< in its batch, from 0
  std::int64_t batch = 0;        ///< of the pass, from 0
  std::int64_t version = 0;      ///< of the parameters that it reads (updates before it)
};

/// What a pass is: an epoch (or its rest) of training, or a run through a split.
struct PassFacts {
  Mode mode = Mode::train;
  std::uint32_t epoch = 1;
  BatchCut cut;
  std::int64_t first_batch = 0;                             ///< batches of the epoch done before: for messages
  std::uint64_t first_step = 1;                             ///< number of the first batch's update
  std::function<double(std::int64_t batch)> learning_rate;  ///< of each batch's update

  /// "batch 13, epoch 2", or "batch 13 of the images to infer": for messages.
  std::string batch_text(std::int64_t batch) const;
};

/// The first thing that went wrong in a pass.
struct Failure {
  std::string message;
  std::exception_ptr error;  ///< of the reader: to be thrown as it is; else null
  bool non_finite = false;   ///< the loss; `batch` tells where
  std::int64_t batch = 0;
};

/// What is known of a stage beside its replicas.
struct StageFacts {
  std::vector<int> from, to;  ///< stages that it has links from, and to
  std::vector<int> units;     ///< its replicas' numbers in RunState::units
  ReplicaShare share;
  StageSlots slots;
  bool entry = false;  ///< fed by the reader
};

/// One replica of a stage at run time.
struct UnitState {
  UnitState(const Network& network, int unit_number, int stage_number, int replica_number,
            const StageMemories& memories, std::span<std::byte> workspace, const Optimizer* optimizer,
            std::uint64_t seed, int device_index, CoreTurn* cores, EventRing& event_ring)
      : worker(network, stage_number, replica_number, memories, workspace, optimizer, seed),
        number(unit_number),
        stage(stage_number),
        replica(replica_number),
        device(device_index),
        turn(cores),
        events(event_ring) {}

  StageWorker worker;
  int number, stage, replica, device;  ///< number: in RunState::units
  CoreTurn* turn;
  std::vector<Delay> delays;                            ///< injected: one a layer of the stage, or empty
  double device_factor = 1;                             ///< injected: of its device
  Nanoseconds step_began = 0;                           ///< where delays are injected
  EventRing& events;                                    ///< its device's
  std::int64_t last_batch = -1;                         ///< batch of its last action in this pass
  std::int64_t images = 0;                              ///< trained, or inferred, in timed passes
  std::atomic<std::int64_t> actions_done{0};            ///< in all passes
  std::atomic<Nanoseconds> slowest[action_kinds] = {};  ///< actions so far; 0: none

  bool asynchronous() const { return worker.memory().device().kind() != DeviceKind::cpu; }
  bool delayed() const { return !delays.empty() || device_factor > 1; }
};

/// The order of a batch's actions: a schedule, and what the engine looks up in it.
struct BatchOrder {
  Schedule lists;
  std::vector<std::vector<ActionKind>> gradient_kinds;  ///< [stage][micro-batch]: B, or I where I and W are apart
  std::vector<int> first_forward;  ///< one a unit: the first micro-batch in its device's list, or -1
};

/// What a device is at. Written by its host thread, read by the watchdog.
struct DeviceTurn {
  /// An action: the stage is -1 where there is none.
  struct At {
    std::atomic<int> stage{-1};
    std::atomic<ActionKind> kind{ActionKind::forward};
    std::atomic<std::int64_t> micro_batch{0};

    void set(int to_stage, ActionKind to_kind, std::int64_t to_micro_batch) {
      kind.store(to_kind, std::memory_order_relaxed);
      micro_batch.store(to_micro_batch, std::memory_order_relaxed);
      stage.store(to_stage, std::memory_order_relaxed);
    }
  };
  At next;                                    ///< whose turn it is in the schedule, or was last
  At running;                                 ///< the action that runs: of an asynchronous device the oldest
  std::atomic<Nanoseconds> running_since{0};  ///< 0: none does
  std::atomic<int> copies{0};                 ///< into and out of an asynchronous device that have not ended

  void run(int stage, ActionKind kind, std::int64_t micro_batch, Nanoseconds since) {
    running.set(stage, kind, micro_batch);
    running_since.store(since, std::memory_order_relaxed);
  }
};

/// What the devices' flow graphs, the reader and the caller of a pass share. Written by the caller between passes;
/// during a pass only by whom the comments name.
struct RunState {
  const Network& network;
  std::vector<Device*> devices;
  std::vector<StageFacts> stages;
  std::vector<std::unique_ptr<UnitState>> units;
  std::vector<std::unique_ptr<Lane>> lanes;        ///< one a device
  std::vector<std::unique_ptr<DeviceTurn>> turns;  ///< one a device
  std::vector<DeviceFlow*> flows;                  ///< one a device; owned by its lane
  int in_flight = 1, link_capacity = 1;
  std::vector<std::unique_ptr<SlowLink>> slow_links;  ///< injected
  Nanoseconds injected_at_most = 0;                   ///< in one action and in what it waits for
  WeightVersions weight_versions = WeightVersions::flush;
  std::function<void(const StepFacts&)> on_step;  ///< may throw: the step has failed
  std::function<bool(const Token&)> on_send;      ///< false: the token gets lost. For tests.

  PassFacts pass;
  bool timed = true;  ///< this pass is traced
  /// Of a full batch, and of the pass's last; where batches overlap (no flush) one of the whole pass, in which actions
  /// carry the micro-batch's number in the pass and updates the batch's.
  std::vector<BatchOrder> orders;
  std::vector<std::unique_ptr<MicroBatch>> ring;  ///< micro-batch g is at g mod size
  std::vector<LossValues> losses;                 ///< one a micro-batch of the pass; written by the last stage
  std::vector<std::int32_t> predicted;            ///< one an image of the pass; written by the last stage
  std::vector<float> outputs;                     ///< of the network, one an image, where asked for; else empty
  std::atomic<std::int64_t> images_done{0};       ///< through the loss
  std::atomic<double> loss_done{0};               ///< sum over them
  std::atomic<std::int64_t> micro_batches_out{0}, micro_batches_failed{0}, updates_done{0};
  std::atomic<Nanoseconds> batch_ended[8] = {};              ///< at batch mod 8: when its last stage so far ended it
  std::atomic<std::int64_t> reads_begun{0}, reads_ended{0};  ///< of the reader, in all passes
  std::atomic<Nanoseconds> slowest_read{0};

  explicit RunState(const Network& checked) : network(checked) {}

  MicroBatch& micro_batch(std::int64_t number) { return *ring[static_cast<std::size_t>(number) % ring.size()]; }
  bool overlaps_batches() const { return weight_versions != WeightVersions::flush && pass.mode == Mode::train; }
  const BatchOrder& order(std::int64_t batch) const {
    return orders[batch + 1 < pass.cut.batches() || overlaps_batches() ? 0 : 1];
  }
  const StageFacts& stage(int number) const { return stages[static_cast<std::size_t>(number)]; }
  /// The replica of a stage that works on micro-batch `index` of a batch.
  UnitState& unit(int number, int index) const {
    const StageFacts& facts = stage(number);
    return *units[static_cast<std::size_t>(facts.units[static_cast<std::size_t>(facts.share.replica(index))])];
  }
  /// The device that runs an action; `micro_batch` counts through the pass (U: the batch).
  int device_of(int number, ActionKind kind, std::int64_t micro_batch) const {
    return kind == ActionKind::update ? unit(number, 0).device : unit(number, pass.cut.index_of(micro_batch)).device;
  }
  /// B or I, for a micro-batch of the pass.
  ActionKind gradient_kind(int number, std::int64_t micro_batch) const {
    return order(pass.cut.batch_of(micro_batch))
        .gradient_kinds[static_cast<std::size_t>(number)][static_cast<std::size_t>(pass.cut.index_of(micro_batch))];
  }
  /// Puts a token into the inbox of the device that it is for.
  void post(const Token& token) const {
    if (on_send && !on_send(token)) return;
    lanes[static_cast<std::size_t>(device_of(token.stage, token.kind, token.micro_batch))]->post(token);
  }

  /// When what a token tells of arrives at its stage: 0 where links take no time.
  Nanoseconds arrival(const Token& token) const;
  /// Returns at a time of the steady clock (sleeping while that is far, so that other threads have the core), or soon
  /// after the pass has failed.
  void wait_until(Nanoseconds time) const;

  bool failed() const { return failed_.load(std::memory_order_acquire); }
  /// Keeps the first failure. From any thread.
  void fail(Failure failure);
  Failure failure() const;
  void clear_failure();

  /// Wakes the caller of the pass: a buffer is free, or a stage has ended a batch.
  void notify() {
    { const std::lock_guard lock(mutex); }
    changed.notify_one();
  }
  mutable std::mutex mutex;
  std::condition_variable changed;

 private:
  std::atomic<bool> failed_{false};
  Failure failure_;
};

/// Looks a schedule's lists through for what BatchOrder knows.
BatchOrder batch_order(Schedule lists, const RunState& state, int micro_batches);

}  // namespace lenet_flow

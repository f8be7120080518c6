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
#include "engine/pipeline/lane.h"
#include "engine/pipeline/micro_batch.h"
#include "engine/pipeline/stage_worker.h"
#include "engine/schedule/schedule.h"
#include "engine/trace/stage_clock.h"

namespace lenet_flow {

/// One step of an action, as a hook sees it: a layer's forward or backward work, the loss, an update.
struct StepFacts {
  int stage = 0;
  ActionKind kind = ActionKind::forward;
  std::string_view what;         ///< the layer's name; "loss", "update"
  std::int64_t micro_batch = 0;  ///< in its batch, from 0
  std::int64_t batch = 0;        ///< of the pass, from 0
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

/// One stage at run time.
struct StageState {
  StageState(const Network& network, int number, StageMemory& memory, std::span<std::byte> workspace,
             const Optimizer* optimizer, std::uint64_t seed, int device_index, CoreTurn* cores)
      : worker(network, number, memory, workspace, optimizer, seed),
        device(device_index),
        turn(cores),
        entry(worker.reads_network_input()),
        clock(entry) {}

  StageWorker worker;
  int device;
  CoreTurn* turn;
  bool entry;  ///< fed by the reader
  StageClock clock;
  std::vector<int> from, to;     ///< stages that it has links from, and to
  bool split_backward = false;   ///< I and W instead of B
  std::int64_t last_batch = -1;  ///< batch of its last action in this pass
  std::int64_t images = 0;       ///< trained, or inferred, in timed passes
};

/// What the devices' flow graphs, the reader and the caller of a pass share. Written by the caller between passes;
/// during a pass only by whom the comments name.
struct RunState {
  const Network& network;
  std::vector<std::unique_ptr<StageState>> stages;
  std::vector<std::unique_ptr<Lane>> lanes;  ///< one a device
  int in_flight = 1, link_capacity = 1;
  std::function<void(const StepFacts&)> on_step;  ///< may throw: the step has failed

  PassFacts pass;
  bool timed = true;                              ///< the stages' clocks count this pass
  std::vector<Schedule> schedules;                ///< of a full batch, and of the pass's last
  std::vector<std::unique_ptr<MicroBatch>> ring;  ///< micro-batch g is at g mod size
  std::vector<LossValues> losses;                 ///< one a micro-batch of the pass; written by the last stage
  std::vector<std::int32_t> predicted;            ///< one an image of the pass; written by the last stage
  std::vector<float> outputs;                     ///< of the network, one an image, where asked for; else empty
  std::atomic<std::int64_t> images_done{0};       ///< through the loss
  std::atomic<double> loss_done{0};               ///< sum over them
  std::atomic<std::int64_t> micro_batches_out{0}, micro_batches_failed{0};
  std::atomic<Nanoseconds> batch_ended[8] = {};  ///< at batch mod 8: when its last stage so far ended it

  explicit RunState(const Network& checked) : network(checked) {}

  MicroBatch& micro_batch(std::int64_t number) { return *ring[static_cast<std::size_t>(number) % ring.size()]; }
  const Schedule& schedule(std::int64_t batch) const { return schedules[batch + 1 < pass.cut.batches() ? 0 : 1]; }
  std::int64_t micro_batches_in_pass() const {
    return (pass.cut.batches() - 1) * pass.cut.micro_batches() + pass.cut.micro_batches(pass.cut.batches() - 1);
  }

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
  std::atomic<std::int64_t> stage_batches_ended{0};  ///< summed over the stages

 private:
  std::atomic<bool> failed_{false};
  Failure failure_;
};

}  // namespace lenet_flow

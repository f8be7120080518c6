#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "engine/schedule/schedule.h"
#include "engine/trace/clock.h"

namespace lenet_flow {

/// When the last of one kind of thing that an action waited for had come, and from where; no time: it waited for none.
struct Arrival {
  Nanoseconds time = 0;
  int from = -1;  ///< the stage that sent it: an action of that stage ended at `time`; -1: the reader
};

/// What an action waited for, by kind.
struct Arrivals {
  Arrival input;     ///< activations, gradients, pixels: when they were sent
  Arrival transfer;  ///< when they had come over a link that takes time of its own
  Arrival credit;    ///< admission
  Arrival room;      ///< in the links downstream, and in the buffers that they read
  Arrival update;    ///< of the parameters, by another replica
  Arrival order;     ///< the action before it on the device had ended
};

/// One step of an action: a layer's kernel, the loss. It began where the step before it ended.
struct StepRecord {
  int step = 0;
  Nanoseconds end = 0;
};

/// What the reader did for one micro-batch.
struct ReadRecord {
  Nanoseconds asked = 0;  ///< its place was free and it was asked for the images
  Nanoseconds begin = 0, end = 0;
};

/// One action as it ran. Times are those of steady_now(). gap: from the end of the unit's action before it to `ready`.
struct ActionRecord {
  int unit = 0;
  ActionKind kind = ActionKind::forward;
  std::int64_t micro_batch = 0;  ///< of the pass; for U the batch
  std::int64_t batch = 0;        ///< of the pass
  Arrivals arrivals;
  Nanoseconds drained = 0;            ///< see EventType::drained; 0 elsewhere
  Nanoseconds ready = 0, begin = 0;   ///< nothing missing but the cores; has them
  Nanoseconds submitted = 0;          ///< given to an asynchronous device; 0: to none
  Nanoseconds transferred = 0;        ///< end of a copy that the action began with; 0: none
  Nanoseconds end = 0;                ///< its last step has ended
  Nanoseconds injected = 0;           ///< of that time, made on purpose
  ReadRecord read;                    ///< F of an entry stage
  std::span<const StepRecord> steps;  ///< valid during TraceSink::on_action
};

/// Who a trace tells of: the names behind its numbers.
struct TracedPipeline {
  struct Unit {
    int stage = 0, replica = 0, device = 0;
    bool entry = false;  ///< fed by the reader
    std::vector<std::string>
        steps[action_kinds];       ///< names of the steps of each kind of action: layers, "loss", "update"
    std::uint64_t held_bytes = 0;  ///< activations of one micro-batch, from its F to its last action
  };
  std::vector<Unit> units;
  std::vector<std::string> stages, devices;
  std::vector<std::pair<int, int>> links;  ///< between stages
  std::vector<int> core_groups;            ///< one a device: devices of one number share cores and take turns; -1: none
  bool alike = true;  ///< all devices are of one kind and size: what one does another can do in the same time
  int in_flight = 1, link_capacity = 1;
  int read_ahead = 1, reader_threads = 1;  ///< micro-batches that may be decoded before they are taken; threads that do

  const std::string& stage_of(int unit) const {
    return stages[static_cast<std::size_t>(units[static_cast<std::size_t>(unit)].stage)];
  }
  /// "conv1..pool1", "conv1..pool1 [2]" for the second of several replicas.
  std::string unit_name(int unit) const;
};

/// A pass of a traced run: an epoch of training, or a run through the images to infer.
struct PassTrace {
  int epoch = 1;
  bool training = true;
  std::int64_t micro_batches = 0, batches = 0;  ///< of the pass
  int per_batch = 1;                            ///< micro-batches of a full batch
  std::int64_t images_per_micro_batch = 0, images_per_batch = 0, images = 0;
  Nanoseconds begin = 0;
};

/// How a pass ended.
struct PassEnd {
  Nanoseconds end = 0;
  std::uint64_t lost = 0;      ///< events of the pass that found no room
  std::uint64_t backward = 0;  ///< events with a time before that of the event before them
};

/// Takes in what was traced, in the order of each unit; units come interleaved as they are read. All calls from one
/// thread, the one that called Pipeline::run.
class TraceSink {
 public:
  virtual ~TraceSink() = default;
  virtual void begin_pass(const PassTrace& pass) = 0;
  virtual void on_action(const ActionRecord& action) = 0;
  /// Actions of a device may be missing between `from` and `until`: events were lost.
  virtual void on_lost(int device, Nanoseconds from, Nanoseconds until) = 0;
  /// A device's host thread slept.
  virtual void on_sleep(int device, Nanoseconds from, Nanoseconds until) = 0;
  virtual void end_pass(const PassEnd& end) = 0;
};

}  // namespace lenet_flow

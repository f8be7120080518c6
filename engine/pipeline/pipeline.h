#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/data/image_source.h"
#include "engine/graph/network.h"
#include "engine/pipeline/device_set.h"
#include "engine/pipeline/run_state.h"
#include "engine/training/checkpoint.h"
#include "engine/training/result.h"
#include "layers/optimizer.h"

namespace lenet_flow {

/// How a network is to be run.
struct PipelineOptions {
  const ScheduleType* schedule = nullptr;
  std::int64_t batch = 64, micro_batch = 64;  ///< images
  int in_flight = 0;                          ///< 0: what the schedule asks for
  int link_capacity = 0;                      ///< 0: as many as are in flight
  bool training = true;
  std::uint64_t seed = 1;
  std::function<void(const StepFacts&)> on_step;  ///< runs before each step; throwing fails the step. For tests.
};

/// The shape of a schedule for a network: what generators and the checker take. `device_of_stage` numbers devices as
/// DeviceSet does.
ScheduleShape schedule_shape(const Network& network, const DeviceSet& devices, int micro_batches, bool training);

/// What follows from network, devices and options before anything is allocated: the schedule and the memory.
struct PipelinePlan {
  ScheduleShape shape;  ///< of a full batch
  Schedule schedule;
  ScheduleLimits limits;
  bool split_backward = false;
  std::vector<StageMemory> memory;             ///< one a stage; not allocated
  std::vector<std::uint64_t> workspace_bytes;  ///< one a device
  std::uint64_t reader_bytes = 0;
  int read_ahead = 0;  ///< micro-batches that may be decoded before they are admitted

  /// Bytes that device `index` will hold.
  std::uint64_t device_bytes(int index) const;
};

/// Throws InputError where the schedule cannot run (deadlock under in_flight or link_capacity).
PipelinePlan plan_pipeline(const Network& network, const DeviceSet& devices, const PipelineOptions& options,
                           const Optimizer* optimizer);

/// What a pass came to.
struct PassResult {
  std::int64_t batches = 0, images = 0;  ///< done: whole batches
  std::int64_t correct = 0;
  double loss_sum = 0;  ///< PassRequest::loss_before and the images', added in the order of micro-batches
  double seconds = 0;
};

/// One pass, as asked for.
struct PassRequest {
  PassFacts facts;
  const ImageSource* source = nullptr;
  std::span<const std::uint32_t> samples;  ///< facts.cut.images of them, in the order of the pass
  double loss_before = 0;                  ///< what PassResult::loss_sum starts from
  bool timed = false;                      ///< counts in the stages' results
  bool keep_outputs = false;
  const std::atomic<int>* stop = nullptr;  ///< >= 1: ends after the batches in flight
  /// Called some times a second from the calling thread with the images done and the sum of their losses.
  std::function<void(std::int64_t images, double loss_sum)> progress;
};

/// A network on its devices, ready to run: memory, host threads and the flow graphs. All calls from one thread.
class Pipeline {
 public:
  /// Allocates all memory. Throws InputError (the schedule cannot run, or the memory is not there).
  Pipeline(const Network& network, const DeviceSet& devices, const PipelineOptions& options,
           const Optimizer* optimizer);
  ~Pipeline();

  /// Streams the samples through. Throws RunError where a step failed (the pipeline is then of no more use but for its
  /// parameters, which are those before the failed batch or later), InputError where a picture could not be read.
  PassResult run(const PassRequest& request);

  /// Parameters (and optimizer state, where `with_state`) in the order of the file.
  std::vector<NamedTensor> parameters(bool with_state) const;
  /// Sets parameters (and, where the file has all of it, optimizer state). Throws InputError naming what is missing,
  /// has another shape or is not this network's; nothing is changed then. Returns whether optimizer state was there.
  bool set_parameters(const ParameterFile& file, const std::string& path);

  const PipelinePlan& plan() const { return plan_; }
  /// Predicted class of each image of the last pass, and the outputs that keep_outputs asked for.
  const std::vector<std::int32_t>& predicted() const { return state_.predicted; }
  const std::vector<float>& outputs() const { return state_.outputs; }
  /// Of all timed passes.
  std::vector<StageResult> stage_results() const;

 private:
  class TbbThreads;
  void open_lanes();
  void begin_pass(const PassRequest& request);
  std::int64_t feed(const PassRequest& request);
  void feed_micro_batch(const PassRequest& request, std::int64_t number, std::int64_t batch, int index);
  void wait_until(const PassRequest& request, const std::function<bool()>& done);
  void report_now_and_then(const PassRequest& request);
  [[noreturn]] void throw_failure(const PassRequest& request);
  std::string find_non_finite(const PassRequest& request, std::int64_t batch);

  const Network& network_;
  const DeviceSet& devices_;
  PipelineOptions options_;
  const Optimizer* optimizer_;
  std::unique_ptr<TbbThreads> threads_;
  PipelinePlan plan_;
  RunState state_;
  std::vector<float> pixels_;
  std::unique_ptr<class Reader> reader_;
  Nanoseconds reported_ = 0;
};

}  // namespace lenet_flow

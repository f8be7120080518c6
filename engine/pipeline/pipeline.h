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
#include "engine/pipeline/plan.h"
#include "engine/pipeline/run_state.h"
#include "engine/pipeline/watchdog.h"
#include "engine/trace/account.h"
#include "engine/trace/causes/diagnosis.h"
#include "engine/trace/collector.h"
#include "engine/trace/keeper.h"
#include "engine/training/checkpoint.h"
#include "engine/training/result.h"
#include "layers/optimizer.h"

namespace lenet_flow {

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
  const InjectedDelays& delays() const { return options_.delays; }
  /// Predicted class of each image of the last pass, and the outputs that keep_outputs asked for.
  const std::vector<std::int32_t>& predicted() const { return state_.predicted; }
  const std::vector<float>& outputs() const { return state_.outputs; }
  /// What the loss said of each micro-batch of the last pass.
  const std::vector<LossValues>& losses() const { return state_.losses; }
  /// One a stage: how many of its updates were behind by 0, 1, 2, ... updates (StageWorker::staleness()).
  std::vector<std::vector<std::int64_t>> staleness() const;
  /// One a unit, of all timed passes.
  std::vector<StageResult> stage_results() const;

  /// Whom the trace tells of; where to add a sink; and the accounts of all timed passes.
  const TracedPipeline& traced() const { return traced_; }
  Collector& collector() { return *collector_; }
  const Account& account() const { return *account_; }
  /// The newest timed pass, as far as it is kept.
  const Keeper& kept() const { return keeper_; }
  /// What that pass ran by, and why it was not faster.
  RanBy ran_by() const;
  Diagnosis diagnosis() const;

 private:
  class TbbThreads;
  template <typename Visit>
  void for_each_piece(const FileParameter& parameter, int state, Visit&& visit) const;
  void name_traced();
  void name_traced_units();
  void make_units();
  void pin_memory();
  void make_ring();
  void inject_delays();
  void open_lanes();
  void begin_pass(const PassRequest& request);
  void share_parameters();
  std::int64_t feed(const PassRequest& request);
  void feed_micro_batch(const PassRequest& request, std::int64_t number, std::int64_t batch, int index);
  void wait_until(const PassRequest& request, const std::function<bool()>& done);
  void check_watchdog();
  void report_now_and_then(const PassRequest& request);
  [[noreturn]] void throw_failure(const PassRequest& request);
  std::string find_non_finite(const PassRequest& request, std::int64_t batch);

  const Network& network_;
  const DeviceSet& devices_;
  PipelineOptions options_;
  const Optimizer* optimizer_;
  std::unique_ptr<TbbThreads> threads_;
  PipelinePlan plan_;
  TracedPipeline traced_;
  std::unique_ptr<Collector> collector_;
  std::unique_ptr<Account> account_;
  Keeper keeper_;
  StageMemories memories_;
  RunState state_;
  Watchdog watchdog_;
  std::vector<float> pixels_;
  std::vector<std::unique_ptr<PinnedMemory>> pinned_;
  Nanoseconds reported_ = 0;  ///< when progress was last told
  std::unique_ptr<class Reader> reader_;
};

}  // namespace lenet_flow

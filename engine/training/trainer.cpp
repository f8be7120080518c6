#include "engine/training/trainer.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <optional>
#include <set>

#include "devices/energy.h"
#include "devices/gpus.h"
#include "engine/training/describe.h"
#include "engine/training/measure_costs.h"
#include "engine/training/progress.h"
#include "engine/training/training_state.h"

namespace lenet_flow {
namespace {

constexpr double not_known = std::numeric_limits<double>::quiet_NaN();
constexpr auto all_batches = std::numeric_limits<std::uint64_t>::max();

constexpr Nanoseconds between_looks = 10'000'000'000;  // at energy counters, which begin anew after minutes at least

/// A meter of the CPU and of the GPUs that stages run on; each GPU by the first device of the file that is on it.
EnergyMeter energy_meter(const DeviceSet& devices) {
  std::vector<EnergyMeter::MeteredGpu> metered;
  std::set<int> known;
  GpuSearch search;
  for (const DeviceResult& device : devices.results()) {
    if (device.index < 0 || !known.insert(device.index).second) continue;
    if (search.gpus.empty()) search = find_gpus();
    for (const Gpu& gpu : search.gpus)
      if (gpu.index == device.index) metered.push_back({device.name, gpu.pci_bus_id});
  }
  return EnergyMeter(metered);
}

/// One `run`, from the first image to the result.
class Run {
 public:
  explicit Run(const RunOptions& options)
      : options_(options),
        session_(options, Session::Data::all),
        meter_(options.progress, session_.training() ? session_.file().training.epochs : 1, session_.train_images(),
               session_.test().size()) {
    if (options.resume && !options.checkpoint)
      throw InputError("--resume: needs --checkpoint DIR, the folder with the checkpoint to go on from");
    result_.test_accuracy = result_.test_loss = not_known;
  }

  RunResult run() {
    if (session_.training())
      train();
    else
      infer();
    describe(session_, *pipeline_, result_);
    result_.energy = energy_->readings();
    result_.wall_seconds = static_cast<double>(steady_now() - begin_) * 1e-9;
    if (options_.ended) options_.ended(session_, *pipeline_, result_);
    return std::move(result_);
  }

 private:
  int epochs() const { return session_.file().training.epochs; }
  bool over() const { return static_cast<std::int64_t>(state_.at.epoch) > epochs(); }

  void open_pipeline() {
    pipeline_ = session_.open_pipeline(pipeline_options_with_costs(session_));
    energy_.emplace(energy_meter(session_.devices()));
    if (options_.opened) options_.opened(*pipeline_);
  }

  void train() {
    if (options_.checkpoint) folder_.emplace(*options_.checkpoint, session_);
    open_pipeline();
    if (folder_ && options_.resume)
      state_ = folder_->resume(*pipeline_);
    else if (folder_)
      folder_->begin();
    if (over())
      session_.warn(fmt::format("nothing is left to train: {} epochs are done, training.epochs is {}",
                                state_.epochs.size(), epochs()));
    const bool stopped_before_its_test =
        state_.at.batch == 0 && !state_.epochs.empty() && std::isnan(state_.epochs.back().test_loss);
    if (over() || stopped_before_its_test) test();
    while (!over() && !result_.interrupted) {
      if (train_epoch()) test();
      if (folder_) folder_->save(*pipeline_, state_);
    }
    result_.epochs = state_.epochs;
    if (state_.at.batch != 0 || state_.epochs.empty()) return;
    result_.test_accuracy = state_.epochs.back().test_accuracy;
    result_.test_loss = state_.epochs.back().test_loss;
  }

  /// Trains the epoch, or what is left of it. Returns whether it is over.
  bool train_epoch() {
    const std::uint32_t epoch = state_.at.epoch;
    meter_.begin_training(static_cast<int>(epoch),
                          static_cast<std::int64_t>(state_.at.batch) * session_.file().training.batch, state_.loss_sum);
    energy_->start();
    const PassResult pass =
        lenet_flow::train_epoch(session_, *pipeline_, state_, all_batches,
                                [this](std::int64_t images, double loss_sum) { report(images, loss_sum); });
    energy_->stop();
    meter_.end_pass(pass.images, pass.seconds);
    result_.images += pass.images;
    result_.seconds += pass.seconds;
    result_.interrupted = state_.at.epoch == epoch;
    return !result_.interrupted;
  }

  /// Evaluates the parameters as they are; for the last epoch that is over, where there is one.
  void test() {
    const Session::TestResult test = run_test(false);
    if (state_.epochs.empty()) {
      result_.test_accuracy = test.accuracy;
      result_.test_loss = test.loss;
      return;
    }
    EpochResult& epoch = state_.epochs.back();
    epoch.test_accuracy = test.accuracy;
    epoch.test_loss = test.loss;
    meter_.end_epoch(epoch);
  }

  void infer() {
    if (options_.checkpoint)
      session_.warn("--checkpoint: training.mode is \"infer\", so there is nothing to write or to go on from");
    if (!options_.init)
      session_.warn("training.mode is \"infer\" and there is no --init FILE: the parameters are the untrained ones");
    open_pipeline();
    const Session::TestResult test = run_test(true);
    result_.images = test.images;
    result_.seconds = test.seconds;
    result_.test_accuracy = test.accuracy;
    result_.test_loss = test.loss;
  }

  Session::TestResult run_test(bool timed) {
    meter_.begin_test(static_cast<int>(state_.epochs.size()));
    if (timed) energy_->start();
    const Session::TestResult test =
        session_.run_test(*pipeline_, timed, false,
                          [this, timed](std::int64_t images, double loss_sum) { report(images, loss_sum, timed); });
    if (timed) energy_->stop();
    meter_.end_pass(test.images, test.seconds);
    result_.interrupted = test.stopped;
    return test;
  }

  /// `timed`: of a pass that counts in the result.
  void report(std::int64_t images, double loss_sum, bool timed = true) {
    meter_.report(images, loss_sum);
    if (!timed || steady_now() - looked_ < between_looks) return;
    energy_->look();
    looked_ = steady_now();
  }

  const RunOptions& options_;
  Nanoseconds begin_ = steady_now();
  Nanoseconds looked_ = begin_;  ///< at the energy counters
  Session session_;
  ProgressMeter meter_;
  std::optional<CheckpointFolder> folder_;
  std::unique_ptr<Pipeline> pipeline_;
  std::optional<EnergyMeter> energy_;
  TrainingState state_;
  RunResult result_;
};

}  // namespace

RunResult run_graph(const RunOptions& options) { return Run(options).run(); }

}  // namespace lenet_flow

#include "engine/training/profile.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "engine/training/describe.h"
#include "engine/training/measure_costs.h"
#include "engine/training/training_state.h"

namespace lenet_flow {
namespace {

class Profile {
 public:
  explicit Profile(const RunOptions& options) : session_(options, Session::Data::all) {}

  RunResult run(const ProfileSteps& steps) {
    const Nanoseconds begin = steady_now();
    pipeline_ = session_.open_pipeline(pipeline_options_with_costs(session_));
    if (session_.options().opened) session_.options().opened(*pipeline_);
    work(steps.warm_up, false);
    if (!stopped_) work(steps.steps, true);
    describe(session_, *pipeline_, result_);
    result_.interrupted = stopped_;
    result_.test_accuracy = result_.test_loss = std::numeric_limits<double>::quiet_NaN();
    result_.wall_seconds = static_cast<double>(steady_now() - begin) * 1e-9;
    if (session_.options().ended) session_.options().ended(session_, *pipeline_, result_);
    return std::move(result_);
  }

 private:
  void work(std::uint64_t batches, bool timed) {
    while (batches > 0 && !stopped_) {
      const PassResult pass = session_.training() ? train(batches, timed) : infer(batches, timed);
      const auto done = static_cast<std::uint64_t>(pass.batches);
      stopped_ = done == 0 || (session_.options().stop && session_.options().stop->load() > 0);
      batches -= std::min(batches, done);
      if (!timed) continue;
      result_.images += pass.images;
      result_.seconds += pass.seconds;
    }
  }

  PassResult train(std::uint64_t batches, bool timed) {
    return train_epoch(session_, *pipeline_, state_, batches, {}, timed);
  }

  /// The first images of the test split, again and again.
  PassResult infer(std::uint64_t batches, bool timed) {
    const auto images =
        std::min(session_.test().size(), static_cast<std::int64_t>(batches) * session_.file().training.batch);
    std::vector<std::uint32_t> samples(static_cast<std::size_t>(images));
    std::iota(samples.begin(), samples.end(), 0u);
    PassRequest request;
    request.facts.mode = Mode::infer;
    request.facts.cut = session_.cut(images);
    request.source = &session_.test();
    request.samples = samples;
    request.timed = timed;
    request.stop = session_.options().stop;
    return pipeline_->run(request);
  }

  Session session_;
  std::unique_ptr<Pipeline> pipeline_;
  TrainingState state_;
  RunResult result_;
  bool stopped_ = false;
};

}  // namespace

RunResult profile_graph(const RunOptions& options, const ProfileSteps& steps) { return Profile(options).run(steps); }

}  // namespace lenet_flow

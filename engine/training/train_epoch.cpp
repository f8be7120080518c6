#include <algorithm>
#include <limits>

#include "engine/training/training_state.h"

namespace lenet_flow {
namespace {

/// Closes the epoch's books and stands at the begin of the next one.
void end_epoch(const Session& session, const LearningRate& learning_rate, TrainingState& state) {
  EpochResult& epoch = state.epochs.emplace_back();
  epoch.epoch = static_cast<int>(state.at.epoch);
  epoch.images = session.train_images();
  epoch.seconds = state.seconds;
  epoch.loss = state.loss_sum / static_cast<double>(epoch.images);
  epoch.test_loss = epoch.test_accuracy = std::numeric_limits<double>::quiet_NaN();
  epoch.learning_rate = learning_rate.at(state.at.step - 1);
  ++state.at.epoch;
  state.at.batch = 0;
  state.loss_sum = state.seconds = 0;
}

}  // namespace

PassResult train_epoch(const Session& session, Pipeline& pipeline, TrainingState& state, std::uint64_t most_batches,
                       const std::function<void(std::int64_t images, double loss_sum)>& progress, bool timed) {
  const TrainingEntry& training = session.file().training;
  const LearningRate learning_rate = session.learning_rate();
  const std::vector<std::uint32_t> order =
      epoch_order(session.train_images(), session.file().data.shuffle, training.seed, state.at.epoch);
  const auto batches_left = static_cast<std::uint64_t>(session.cut(session.train_images()).batches()) - state.at.batch;
  std::span<const std::uint32_t> samples =
      std::span(order).subspan(state.at.batch * static_cast<std::size_t>(training.batch));
  if (most_batches < batches_left) samples = samples.first(most_batches * static_cast<std::size_t>(training.batch));

  PassRequest request;
  request.facts.mode = Mode::train;
  request.facts.epoch = state.at.epoch;
  request.facts.cut = session.cut(static_cast<std::int64_t>(samples.size()));
  request.facts.first_batch = static_cast<std::int64_t>(state.at.batch);
  request.facts.first_step = state.at.step + 1;
  request.facts.learning_rate = [&learning_rate, first = state.at.step](std::int64_t batch) {
    return learning_rate.at(first + static_cast<std::uint64_t>(batch));
  };
  request.source = &session.train();
  request.samples = samples;
  request.loss_before = state.loss_sum;
  request.timed = timed;
  request.stop = session.options().stop;
  request.progress = progress;
  const PassResult pass = pipeline.run(request);
  const auto done = static_cast<std::uint64_t>(pass.batches);
  state.at.batch += done;
  state.at.step += done;
  state.loss_sum = pass.loss_sum;
  state.seconds += pass.seconds;
  if (done == batches_left) end_epoch(session, learning_rate, state);
  return pass;
}

}  // namespace lenet_flow

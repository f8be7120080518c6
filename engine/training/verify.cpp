#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "engine/training/progress.h"
#include "engine/training/training_state.h"

namespace lenet_flow {
namespace {

/// What so many steps of training under one schedule came to.
struct Outcome {
  std::vector<NamedTensor> parameters;
  std::uint64_t steps = 0;  ///< fewer than asked for: stopped
};

Outcome train_steps(const Session& session, const PipelineOptions& options, std::uint64_t steps, ProgressMeter& meter) {
  const auto pipeline = session.open_pipeline(options);
  TrainingState state;
  while (state.at.step < steps) {
    const Position before = state.at;
    meter.begin_training(static_cast<int>(before.epoch),
                         static_cast<std::int64_t>(before.batch) * session.file().training.batch, state.loss_sum);
    const PassResult pass = train_epoch(session, *pipeline, state, steps - before.step,
                                        [&](std::int64_t images, double loss_sum) { meter.report(images, loss_sum); });
    meter.end_pass(pass.images, pass.seconds);
    const bool to_the_end = state.at.epoch != before.epoch || state.at.step == steps;
    if (!to_the_end) break;
  }
  return {pipeline->parameters(false), state.at.step};
}

/// How far two parameters are apart; a NaN on one side alone is infinitely far.
Verification::Difference compare(const NamedTensor& mine, const NamedTensor& reference) {
  Verification::Difference difference;
  difference.parameter = mine.name;
  difference.elements = static_cast<std::int64_t>(mine.values.size());
  for (std::size_t i = 0; i < mine.values.size(); ++i) {
    const float a = mine.values[i], b = reference.values[i];
    if (std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b)) continue;
    ++difference.different;
    const double apart = std::abs(static_cast<double>(a) - static_cast<double>(b));
    difference.largest = std::max(difference.largest, std::isnan(apart) ? INFINITY : apart);
  }
  return difference;
}

}  // namespace

Verification verify_graph(const RunOptions& options, std::uint64_t steps) {
  Session session(options, Session::Data::all);
  const auto batches = static_cast<std::uint64_t>(session.cut(session.train_images()).batches());
  if (steps == 0) steps = batches;
  PipelineOptions mine = session.pipeline_options(), reference = session.pipeline_options("sequential");
  mine.training = reference.training = true;  // whatever the file's mode
  if (mine.weight_versions != WeightVersions::flush)
    throw InputError("verify: with \"flush\": false there is nothing to be equal to; add --set pipeline.flush=true");
  Verification verification;
  verification.schedule = schedule_name(mine);
  if (mine.schedule == reference.schedule)
    session.warn("verify: the file's schedule is 'sequential' itself; it is compared with itself");
  const int epochs = static_cast<int>(std::min<std::uint64_t>((steps + batches - 1) / batches, 1'000'000));
  ProgressMeter meter(options.progress, epochs, session.train_images(), 0);
  const Outcome by_schedule = train_steps(session, mine, steps, meter);
  verification.steps = by_schedule.steps;
  Outcome by_sequential;
  if (by_schedule.steps == steps) by_sequential = train_steps(session, reference, steps, meter);
  verification.warnings = session.warnings();
  verification.interrupted = by_sequential.steps != steps;
  if (verification.interrupted) return verification;
  verification.sha256 = parameters_sha256(by_schedule.parameters);
  verification.reference_sha256 = parameters_sha256(by_sequential.parameters);
  for (std::size_t i = 0; i < by_schedule.parameters.size(); ++i) {
    const Verification::Difference difference = compare(by_schedule.parameters[i], by_sequential.parameters[i]);
    ++verification.parameters;
    verification.elements += difference.elements;
    if (difference.different > 0) verification.differences.push_back(difference);
  }
  return verification;
}

}  // namespace lenet_flow

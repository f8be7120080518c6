#include "engine/training/verify.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "engine/training/progress.h"
#include "engine/training/training_state.h"

namespace lenet_flow {
namespace {

/// What training so many steps under one schedule came to.
struct Outcome {
  std::vector<NamedTensor> tensors;  ///< parameters, each followed by its optimizer state
  std::vector<LossValues> losses;    ///< one a micro-batch
  std::uint64_t steps = 0;           ///< fewer than asked for: stopped
};

/// Both ways compared over the same steps.
struct Comparison {
  std::uint64_t steps = 0;
  Outcome mine, reference;
  std::optional<LossDifference> loss;  ///< the first
  std::vector<TensorDifference> tensors;

  bool equal() const { return !loss && tensors.empty(); }
  /// The first step at which a difference is seen.
  std::uint64_t first_step() const { return loss ? loss->step : steps; }
};

template <typename Bits, typename Value>
bool same_bits(Value a, Value b) {
  return std::bit_cast<Bits>(a) == std::bit_cast<Bits>(b);
}

bool is_state(const NamedTensor& tensor) { return tensor.name.find('#') != std::string::npos; }

TensorDifference compare(const NamedTensor& mine, const NamedTensor& reference) {
  TensorDifference difference;
  difference.tensor = mine.name;
  difference.elements = static_cast<std::int64_t>(mine.values.size());
  for (std::size_t i = 0; i < mine.values.size(); ++i) {
    const float a = mine.values[i], b = reference.values[i];
    if (same_bits<std::uint32_t>(a, b)) continue;
    if (difference.different++ == 0) {
      difference.first = static_cast<std::int64_t>(i);
      difference.value = a;
      difference.reference = b;
    }
    const double apart = std::abs(static_cast<double>(a) - static_cast<double>(b));
    difference.largest = std::max(difference.largest, std::isnan(apart) ? INFINITY : apart);
  }
  return difference;
}

/// Trains by two schedules and compares.
class Verifier {
 public:
  Verifier(Session& session, PipelineOptions mine, PipelineOptions reference)
      : session_(session),
        mine_(std::move(mine)),
        reference_(std::move(reference)),
        cut_(session.cut(session.train_images())) {}

  /// Both ways over `steps` steps from the start, batches overlapping as they do. None where it was stopped.
  std::optional<Comparison> compare_after(std::uint64_t steps) const {
    Comparison comparison;
    comparison.steps = steps;
    comparison.mine = train(mine_, steps);
    if (comparison.mine.steps != steps) return std::nullopt;
    comparison.reference = train(reference_, steps);
    if (comparison.reference.steps != steps) return std::nullopt;
    comparison.loss = first_loss(comparison);
    for (std::size_t i = 0; i < comparison.mine.tensors.size(); ++i) {
      TensorDifference difference = compare(comparison.mine.tensors[i], comparison.reference.tensors[i]);
      if (difference.different == 0) continue;
      difference.layer = layer_of(difference.tensor).name;
      comparison.tensors.push_back(std::move(difference));
    }
    return comparison;
  }

  /// Halves the steps between a number after which all was equal and one after which it was not. A difference that
  /// shows in a long pass only (a race between batches, say) is not found again. None where it was stopped.
  std::optional<FirstDifference> find_first(const Comparison& whole) const {
    std::uint64_t equal = 0, different = whole.first_step();
    std::optional<Comparison> found;  // after `different` steps
    while (!found || equal + 1 < different) {
      const std::uint64_t steps = found ? equal + (different - equal) / 2 : different;
      std::optional<Comparison> shorter = compare_after(steps);
      if (!shorter) return std::nullopt;
      if (shorter->equal()) {
        if (!found) return not_reproduced(whole);
        equal = steps;
        continue;
      }
      different = shorter->first_step();
      found.reset();
      if (different == steps) found = std::move(shorter);
    }
    return first_difference(*found);
  }

 private:
  Outcome train(const PipelineOptions& options, std::uint64_t steps) const {
    const auto batches = static_cast<std::uint64_t>(cut_.batches());
    const int epochs = static_cast<int>(std::min<std::uint64_t>((steps + batches - 1) / batches, 1'000'000));
    ProgressMeter meter(session_.options().progress, epochs, session_.train_images(), 0);
    session_.renew_devices();
    const auto pipeline = session_.open_pipeline(options);
    Outcome outcome;
    TrainingState state;
    while (state.at.step < steps) {
      const Position before = state.at;
      meter.begin_training(static_cast<int>(before.epoch),
                           static_cast<std::int64_t>(before.batch) * session_.file().training.batch, state.loss_sum);
      const PassResult pass = train_epoch(session_, *pipeline, state, steps - before.step,
                                          [&](std::int64_t images, double sum) { meter.report(images, sum); });
      meter.end_pass(pass.images, pass.seconds);
      const bool to_the_end = state.at.epoch != before.epoch || state.at.step == steps;
      if (!to_the_end) break;
      outcome.losses.insert(outcome.losses.end(), pipeline->losses().begin(), pipeline->losses().end());
    }
    outcome.steps = state.at.step;
    outcome.tensors = pipeline->parameters(true);
    return outcome;
  }

  std::optional<LossDifference> first_loss(const Comparison& comparison) const {
    const auto &mine = comparison.mine.losses, &reference = comparison.reference.losses;
    const auto [a, b] = std::mismatch(mine.begin(), mine.end(), reference.begin(), [](const auto& x, const auto& y) {
      return same_bits<std::uint64_t>(x.sum, y.sum) && x.correct == y.correct;
    });
    if (a == mine.end()) return std::nullopt;
    const std::int64_t number = a - mine.begin(), epoch = number / cut_.micro_batches_in_pass();
    const std::int64_t in_epoch = number % cut_.micro_batches_in_pass();
    const std::int64_t batch = cut_.batch_of(in_epoch);
    const int index = cut_.index_of(in_epoch);
    const auto images = static_cast<double>(cut_.micro_batch_images(batch, index));
    return LossDifference{static_cast<std::uint64_t>(epoch * cut_.batches() + batch) + 1, index + 1, a->sum / images,
                          b->sum / images};
  }

  /// A layer's name, and its place in the execution order.
  struct LayerPlace {
    std::string name;
    std::ptrdiff_t place = -1;
  };

  LayerPlace layer_of(const std::string& tensor) const {
    const Network& network = session_.network();
    for (const FileParameter& parameter : file_parameters(network)) {
      if (tensor != parameter.name && !tensor.starts_with(parameter.name + '#')) continue;
      const auto at = std::find(network.order.begin(), network.order.end(), parameter.pieces.back().layer);
      return {parameter.name.substr(0, parameter.name.size() - parameter.spec.name.size() - 1),
              at - network.order.begin()};
    }
    return {};
  }

  FirstDifference first_difference(const Comparison& comparison) const {
    FirstDifference first;
    first.step = comparison.first_step();
    first.loss = comparison.loss;
    first.tensors = comparison.tensors;
    std::ptrdiff_t last = -1;
    for (const TensorDifference& difference : comparison.tensors) {
      const std::ptrdiff_t place = layer_of(difference.tensor).place;
      if (place > last) first.layer = difference.layer;
      last = std::max(last, place);
    }
    return first;
  }

  FirstDifference not_reproduced(const Comparison& whole) const {
    FirstDifference first = first_difference(whole);
    first.reproduced = false;
    if (first.step == whole.steps) return first;
    first.tensors.clear();  // they are of the last step
    first.layer.clear();
    return first;
  }

  Session& session_;
  PipelineOptions mine_, reference_;
  BatchCut cut_;  ///< of an epoch
};

void count_what_was_compared(const Outcome& outcome, Verification& verification) {
  verification.losses = static_cast<std::int64_t>(outcome.losses.size());
  for (const NamedTensor& tensor : outcome.tensors) {
    if (is_state(tensor)) {
      ++verification.states;
      continue;
    }
    ++verification.parameters;
    verification.elements += static_cast<std::int64_t>(tensor.values.size());
  }
}

std::string sha256_of_parameters(Outcome& outcome) {
  std::erase_if(outcome.tensors, is_state);
  return parameters_sha256(outcome.tensors);
}

}  // namespace

Verification verify_graph(const RunOptions& options, std::uint64_t steps) {
  Session session(options, Session::Data::all);
  if (steps == 0) steps = static_cast<std::uint64_t>(session.cut(session.train_images()).batches());
  PipelineOptions mine = session.pipeline_options(), reference = session.pipeline_options("sequential");
  mine.training = reference.training = true;  // whatever the file's mode
  if (mine.weight_versions != WeightVersions::flush)
    throw InputError("verify: with \"flush\": false there is nothing to be equal to; add --set pipeline.flush=true");
  Verification verification;
  verification.schedule = schedule_name(mine);
  verification.steps = steps;
  if (!mine.custom && mine.schedule == reference.schedule)
    session.warn("verify: the file's schedule is 'sequential' itself; it is compared with itself");
  const Verifier verifier(session, mine, reference);
  std::optional<Comparison> whole = verifier.compare_after(steps);
  if (whole) {
    count_what_was_compared(whole->mine, verification);
    verification.loss = whole->loss;
    verification.differences = whole->tensors;
    if (!whole->equal()) verification.first = verifier.find_first(*whole);
    verification.sha256 = sha256_of_parameters(whole->mine);
    verification.reference_sha256 = sha256_of_parameters(whole->reference);
  }
  verification.interrupted = !whole || (!whole->equal() && !verification.first);
  verification.warnings = session.warnings();
  return verification;
}

}  // namespace lenet_flow

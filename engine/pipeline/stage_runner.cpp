#include "engine/pipeline/stage_runner.h"

#include <fmt/format.h>

#include <cmath>

namespace lenet_flow {
namespace {

std::string_view verb(ActionKind kind) {
  switch (kind) {
    case ActionKind::forward: return "forward";
    case ActionKind::input_gradients: return "input gradients";
    case ActionKind::parameter_gradients: return "parameter gradients";
    case ActionKind::backward: return "backward";
    case ActionKind::update: return "update";
  }
  return "";
}

}  // namespace

int StageRunner::steps(ActionKind kind) const {
  if (kind == ActionKind::update) return 1;
  return stage_.worker.layers() + (kind == ActionKind::forward && stage_.worker.has_loss() ? 1 : 0);
}

int StageRunner::tokens_needed(ActionKind kind, std::int64_t micro_batch) const {
  constexpr int order = 1;
  const auto count = [](const std::vector<int>& stages) { return static_cast<int>(stages.size()); };
  switch (kind) {
    case ActionKind::forward:
      return order + count(stage_.from) + (stage_.entry ? 1 : 0) +
             (stage_.entry && micro_batch >= state_.in_flight ? 1 : 0) +
             (micro_batch >= state_.link_capacity ? count(stage_.to) : 0);
    case ActionKind::backward:
    case ActionKind::input_gradients: return order + count(stage_.to);
    case ActionKind::parameter_gradients:
    case ActionKind::update: return order;
  }
  return order;
}

std::int64_t StageRunner::batch_of(ActionKind kind, std::int64_t micro_batch) const {
  return kind == ActionKind::update ? micro_batch : micro_batch / state_.pass.cut.micro_batches();
}

ActionKind StageRunner::gradient_kind(int stage) const {
  return state_.stages[static_cast<std::size_t>(stage)]->split_backward ? ActionKind::input_gradients
                                                                        : ActionKind::backward;
}

ActionKind StageRunner::last_kind() const {
  if (state_.pass.mode == Mode::infer) return ActionKind::forward;
  return stage_.split_backward ? ActionKind::parameter_gradients : ActionKind::backward;
}

bool StageRunner::ends_batch(ActionKind kind, std::int64_t micro_batch) const {
  if (state_.pass.mode == Mode::train) return kind == ActionKind::update;
  const std::int64_t next = micro_batch + 1;
  return next % state_.pass.cut.micro_batches() == 0 || next == state_.micro_batches_in_pass();
}

void StageRunner::begin(ActionKind kind, std::int64_t micro_batch, const Arrivals& arrivals) {
  const std::int64_t batch = batch_of(kind, micro_batch);
  const bool first = stage_.last_batch < 0 || (state_.pass.mode == Mode::train && batch != stage_.last_batch);
  stage_.last_batch = batch;
  if (state_.timed) {
    const Nanoseconds before =
        batch > 0 ? state_.batch_ended[(batch - 1) % 8].load(std::memory_order_relaxed) : Nanoseconds{0};
    stage_.clock.ready(arrivals, first, before, steady_now());
  }
  if (stage_.turn) stage_.turn->take();
  if (state_.timed) stage_.clock.begin_action(steady_now());
  if (kind == ActionKind::forward && stage_.entry && !state_.failed()) {
    stage_.worker.take_pixels(state_.micro_batch(micro_batch));
    if (state_.timed) stage_.clock.end_transfer(steady_now());
  }
}

void StageRunner::step(ActionKind kind, int step, std::int64_t micro_batch) noexcept {
  if (state_.failed()) return;
  try {
    run_step(kind, step, micro_batch);
  } catch (const std::exception& error) {
    state_.fail({where(kind, step, micro_batch) + ": " + error.what(), nullptr, false, batch_of(kind, micro_batch)});
  } catch (...) {
    state_.fail({where(kind, step, micro_batch) + ": failed", nullptr, false, batch_of(kind, micro_batch)});
  }
}

std::string_view StageRunner::step_name(ActionKind kind, int step) const {
  if (kind == ActionKind::update) return "update";
  const int layers = stage_.worker.layers();
  if (step == layers) return "loss";
  return stage_.worker.layer(kind == ActionKind::forward ? step : layers - 1 - step).name;
}

/// "layer 'conv1' (stage 'conv1..pool1', device 'cpu0'), forward of micro-batch 3 of batch 12, epoch 1".
std::string StageRunner::where(ActionKind kind, int step, std::int64_t micro_batch) const {
  const Stage& stage = state_.network.stages[static_cast<std::size_t>(number_)];
  const std::string_view name = step_name(kind, step);
  const bool is_layer = kind != ActionKind::update && step < stage_.worker.layers();
  const std::int64_t batch = batch_of(kind, micro_batch);
  const std::string part =
      kind == ActionKind::update
          ? std::string()
          : fmt::format("micro-batch {} of ", micro_batch - batch * state_.pass.cut.micro_batches() + 1);
  return fmt::format("{} (stage '{}', device '{}'), {} of {}{}",
                     is_layer ? fmt::format("layer '{}'", name) : std::string(name), stage.name, stage.device,
                     verb(kind), part, state_.pass.batch_text(batch));
}

void StageRunner::run_step(ActionKind kind, int step, std::int64_t micro_batch) {
  const std::int64_t batch = batch_of(kind, micro_batch);
  if (state_.on_step)
    state_.on_step({number_, kind, step_name(kind, step),
                    kind == ActionKind::update ? 0 : micro_batch - batch * state_.pass.cut.micro_batches(), batch});
  StageWorker& worker = stage_.worker;
  if (kind == ActionKind::update) {
    worker.update(state_.pass.cut.micro_batches(batch), state_.pass.learning_rate(batch),
                  state_.pass.first_step + static_cast<std::uint64_t>(batch));
    return;
  }
  const MicroBatch& what = state_.micro_batch(micro_batch);
  const std::uint32_t epoch = state_.pass.epoch;
  if (kind == ActionKind::forward) {
    if (step == worker.layers())
      run_loss(what);
    else
      worker.forward(step, what, state_.pass.mode, epoch);
    return;
  }
  const int position = worker.layers() - 1 - step;
  if (kind != ActionKind::parameter_gradients) worker.input_gradients(position, what, epoch);
  if (kind != ActionKind::input_gradients) {
    worker.parameter_gradients(position, what, epoch);
    if (position == 0) worker.fold_gradients(what);
  }
}

void StageRunner::run_loss(const MicroBatch& micro_batch) {
  const auto first = static_cast<std::size_t>(micro_batch.first), images = static_cast<std::size_t>(micro_batch.images);
  const LossValues values =
      stage_.worker.loss(micro_batch, state_.pass.mode, std::span(state_.predicted).subspan(first, images));
  if (!std::isfinite(values.sum)) {
    state_.fail({"the loss is not a finite number", nullptr, true, micro_batch.batch});
    return;
  }
  if (!state_.outputs.empty()) {
    int position = stage_.worker.layers() - 1;
    while (stage_.worker.memory().layers()[static_cast<std::size_t>(position)].layer != state_.network.output_layer)
      --position;
    const auto elements = static_cast<std::size_t>(stage_.worker.layer(position).output_shape.elements());
    stage_.worker.read_output(position, micro_batch,
                              std::span(state_.outputs).subspan(first * elements, images * elements));
  }
  state_.losses[static_cast<std::size_t>(micro_batch.number)] = values;
  state_.loss_done.store(state_.loss_done.load(std::memory_order_relaxed) + values.sum, std::memory_order_relaxed);
  state_.images_done.fetch_add(micro_batch.images, std::memory_order_relaxed);
}

Nanoseconds StageRunner::finish() {
  const Nanoseconds now = steady_now();
  if (state_.timed) stage_.clock.end_action(now);
  if (stage_.turn) stage_.turn->give();
  return now;
}

void StageRunner::release_pixels(std::int64_t micro_batch) {
  if (state_.micro_batch(micro_batch).readers_left.fetch_sub(1, std::memory_order_acq_rel) == 1) state_.notify();
}

/// True where this stage was the last to end the micro-batch.
bool StageRunner::end_micro_batch(std::int64_t micro_batch) {
  MicroBatch& what = state_.micro_batch(micro_batch);
  if (state_.timed && !state_.failed()) stage_.images += what.images;
  if (what.stages_left.fetch_sub(1, std::memory_order_acq_rel) != 1) return false;
  (state_.failed() ? state_.micro_batches_failed : state_.micro_batches_out).fetch_add(1, std::memory_order_relaxed);
  return true;
}

void StageRunner::end_batch(std::int64_t batch, Nanoseconds now) {
  std::atomic<Nanoseconds>& ended = state_.batch_ended[batch % 8];
  Nanoseconds before = ended.load(std::memory_order_relaxed);
  while (before < now && !ended.compare_exchange_weak(before, now, std::memory_order_relaxed)) {
  }
  state_.stage_batches_ended.fetch_add(1, std::memory_order_acq_rel);
  state_.notify();
}

}  // namespace lenet_flow

#include "engine/pipeline/stage_runner.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "engine/pipeline/token_rules.h"

namespace lenet_flow {

StageRunner::StageRunner(RunState& state, int unit)
    : state_(state),
      unit_(*state.units[static_cast<std::size_t>(unit)]),
      stage_(state.stage(unit_.stage)),
      turn_(*state.turns[static_cast<std::size_t>(unit_.device)]) {}

int StageRunner::steps(ActionKind kind) const {
  const int layers = unit_.worker.layers();
  switch (kind) {
    case ActionKind::forward: return layers + (unit_.worker.has_loss() ? 1 : 0);
    case ActionKind::input_gradients:
    case ActionKind::backward: return layers * (unit_.worker.recomputes() ? 2 : 1);
    case ActionKind::parameter_gradients: return layers;
    case ActionKind::update: return 1;
  }
  return 1;
}

std::int64_t StageRunner::batch_of(ActionKind kind, std::int64_t micro_batch) const {
  return kind == ActionKind::update ? micro_batch : state_.pass.cut.batch_of(micro_batch);
}

bool StageRunner::recomputes(ActionKind kind, int step) const {
  return unit_.worker.recomputes() && step < unit_.worker.layers() &&
         (kind == ActionKind::input_gradients || kind == ActionKind::backward);
}

int StageRunner::position(ActionKind kind, int step) const {
  if (kind == ActionKind::forward || recomputes(kind, step)) return step;
  return steps(kind) - 1 - step;
}

void StageRunner::note(EventType type, ActionKind kind, std::int64_t micro_batch, Nanoseconds time, int detail) const {
  if (!state_.timed) return;
  unit_.events.write({time, static_cast<std::int32_t>(micro_batch), static_cast<std::int16_t>(unit_.number),
                      static_cast<std::int16_t>(detail), type, kind});
}

void StageRunner::note_needs(ActionKind kind, std::int64_t micro_batch, const Arrivals& arrivals) {
  const auto need = [&](EventType type, const Arrival& arrival) {
    if (arrival.time > 0) note(type, kind, micro_batch, arrival.time, arrival.from);
  };
  need(EventType::order, arrivals.order);
  need(EventType::input, arrivals.input);
  need(EventType::transfer, arrivals.transfer);
  need(EventType::credit, arrivals.credit);
  need(EventType::room, arrivals.room);
  need(EventType::update, arrivals.update);
  const std::int64_t batch = batch_of(kind, micro_batch);
  if (unit_.last_batch >= 0 && batch > 0 && batch != unit_.last_batch && state_.pass.mode == Mode::train)
    note(EventType::drained, kind, micro_batch, state_.batch_ended[(batch - 1) % 8].load(std::memory_order_relaxed));
  unit_.last_batch = batch;
  if (kind == ActionKind::forward && stage_.entry) {
    const ReadRecord& read = state_.micro_batch(micro_batch).read;
    note(EventType::read_asked, kind, micro_batch, read.asked);
    note(EventType::read_begin, kind, micro_batch, read.begin);
    note(EventType::read_end, kind, micro_batch, read.end);
  }
}

void StageRunner::wait_for_link(ActionKind kind, std::int64_t micro_batch, Nanoseconds arrives) {
  const Nanoseconds now = steady_now();
  if (arrives <= now) return;
  state_.wait_until(arrives);
  note(EventType::injected, kind, micro_batch, steady_now() - now);
}

void StageRunner::begin(ActionKind kind, std::int64_t micro_batch, const Arrivals& arrivals) {
  if (state_.timed) note_needs(kind, micro_batch, arrivals);
  if (arrivals.transfer.time > 0) wait_for_link(kind, micro_batch, arrivals.transfer.time);
  if (state_.timed) note(EventType::ready, kind, micro_batch, steady_now());
  if (unit_.turn) unit_.turn->take();
  const Nanoseconds now = steady_now();
  unit_.step_began = now;
  turn_.run(unit_.stage, kind, micro_batch, now);
  note(EventType::begin, kind, micro_batch, now);
  if (!state_.failed()) prepare(kind, micro_batch);
  if (kind == ActionKind::forward && stage_.entry && !state_.failed()) {
    unit_.worker.take_pixels(state_.micro_batch(micro_batch));
    if (state_.timed) note(EventType::transferred, kind, micro_batch, steady_now());
  }
}

void StageRunner::prepare(ActionKind kind, std::int64_t micro_batch) {
  const MicroBatch& what = state_.micro_batch(micro_batch);
  if (kind == ActionKind::forward) unit_.worker.begin_forward(what, state_.pass.mode);
  if (kind == ActionKind::parameter_gradients || kind == ActionKind::backward) unit_.worker.begin_gradients(what);
}

void StageRunner::step(ActionKind kind, int step, std::int64_t micro_batch) noexcept {
  if (state_.failed()) return;
  try {
    tell_step(kind, step, micro_batch);
    run_step(kind, step, micro_batch);
    if (unit_.delayed()) lengthen(kind, step, micro_batch);
    if (state_.timed) note(EventType::step, kind, micro_batch, steady_now(), step);
  } catch (const std::exception& error) {
    state_.fail({where(kind, step, micro_batch) + ": " + error.what(), nullptr, false, batch_of(kind, micro_batch)});
  } catch (...) {
    state_.fail({where(kind, step, micro_batch) + ": failed", nullptr, false, batch_of(kind, micro_batch)});
  }
}

void StageRunner::lengthen(ActionKind kind, int step, std::int64_t micro_batch) {
  const Nanoseconds now = steady_now(), took = now - unit_.step_began;
  Nanoseconds extra = Delay{0, unit_.device_factor}.extra(took);
  const int at = kind == ActionKind::update ? unit_.worker.layers() : position(kind, step);
  if (!unit_.delays.empty() && at < unit_.worker.layers())
    extra += unit_.delays[static_cast<std::size_t>(at)].extra(took);
  if (extra > 0) {
    state_.wait_until(now + extra);
    note(EventType::injected, kind, micro_batch, steady_now() - now);
  }
  unit_.step_began = steady_now();
}

std::string_view StageRunner::step_name(ActionKind kind, int step) const {
  if (kind == ActionKind::update) return "update";
  const int at = position(kind, step);
  return at == unit_.worker.layers() ? std::string_view("loss") : std::string_view(unit_.worker.name(at));
}

std::string StageRunner::step_label(ActionKind kind, int step) const {
  return std::string(step_name(kind, step)) + (recomputes(kind, step) ? " (again)" : "");
}

std::string StageRunner::action_text(const RunState& state, ActionKind kind, std::int64_t micro_batch) {
  const bool update = kind == ActionKind::update;
  const std::int64_t batch = update ? micro_batch : state.pass.cut.batch_of(micro_batch);
  const std::string part =
      update ? std::string() : fmt::format("micro-batch {} of ", state.pass.cut.index_of(micro_batch) + 1);
  return fmt::format("{} of {}{}", meaning(kind), part, state.pass.batch_text(batch));
}

std::string StageRunner::where(ActionKind kind, int step, std::int64_t micro_batch) const {
  if (step < 0)
    return fmt::format("stage '{}' on device '{}', {}",
                       state_.network.stages[static_cast<std::size_t>(unit_.stage)].name,
                       unit_.worker.memory().device().name(), action_text(state_, kind, micro_batch));
  const std::string_view name = step_name(kind, step);
  const bool is_layer = kind != ActionKind::update && position(kind, step) < unit_.worker.layers();
  return fmt::format("{} (stage '{}', device '{}'), {}", is_layer ? fmt::format("layer '{}'", name) : std::string(name),
                     state_.network.stages[static_cast<std::size_t>(unit_.stage)].name,
                     unit_.worker.memory().device().name(), action_text(state_, kind, micro_batch));
}

void StageRunner::tell_step(ActionKind kind, int step, std::int64_t micro_batch) const {
  if (!state_.on_step) return;
  const bool update = kind == ActionKind::update;
  state_.on_step({unit_.stage, kind, step_name(kind, step), update ? 0 : state_.pass.cut.index_of(micro_batch),
                  batch_of(kind, micro_batch), update ? 0 : unit_.worker.version_of(state_.micro_batch(micro_batch))});
}

void StageRunner::run_step(ActionKind kind, int step, std::int64_t micro_batch) {
  const std::int64_t batch = batch_of(kind, micro_batch);
  StageWorker& worker = unit_.worker;
  if (kind == ActionKind::update) {
    worker.update(state_.pass.cut.micro_batches(batch), state_.pass.learning_rate(batch),
                  state_.pass.first_step + static_cast<std::uint64_t>(batch));
    return;
  }
  const MicroBatch& what = state_.micro_batch(micro_batch);
  const std::uint32_t epoch = state_.pass.epoch;
  const int at = position(kind, step);
  if (at == worker.layers()) return run_loss(what);
  if (kind == ActionKind::forward) return worker.forward(at, what, state_.pass.mode, epoch);
  if (recomputes(kind, step)) return worker.forward(at, what, state_.pass.mode, epoch, true);
  if (kind != ActionKind::parameter_gradients) worker.input_gradients(at, what, epoch);
  if (kind != ActionKind::input_gradients) {
    worker.parameter_gradients(at, what, epoch);
    if (at == 0) worker.fold_gradients();
  }
}

void StageRunner::run_loss(const MicroBatch& micro_batch) {
  unit_.worker.loss(micro_batch, state_.pass.mode);
  if (!unit_.asynchronous())
    finish_loss(micro_batch);
  else if (!state_.outputs.empty())
    unit_.worker.fetch_output(micro_batch);
}

void StageRunner::finish_loss(const MicroBatch& micro_batch) {
  const auto first = static_cast<std::size_t>(micro_batch.first), images = static_cast<std::size_t>(micro_batch.images);
  StageWorker& worker = unit_.worker;
  const LossValues values = worker.loss_values(micro_batch, std::span(state_.predicted).subspan(first, images));
  if (!std::isfinite(values.sum)) {
    state_.fail({"the loss is not a finite number", nullptr, true, micro_batch.batch});
    return;
  }
  if (!state_.outputs.empty()) {
    const auto elements = static_cast<std::size_t>(worker.layer(worker.loss_position()).output_shape.elements());
    const auto outputs = std::span(state_.outputs).subspan(first * elements, images * elements);
    if (unit_.asynchronous())
      worker.fetched_output(micro_batch, outputs);
    else
      worker.read_output(worker.loss_position(), micro_batch, outputs);
  }
  state_.losses[static_cast<std::size_t>(micro_batch.number)] = values;
  double before = state_.loss_done.load(std::memory_order_relaxed);
  while (!state_.loss_done.compare_exchange_weak(before, before + values.sum, std::memory_order_relaxed)) {
  }
  state_.images_done.fetch_add(micro_batch.images, std::memory_order_relaxed);
}

Nanoseconds StageRunner::end(ActionKind kind, std::int64_t micro_batch) {
  const Nanoseconds now = steady_now();
  note(EventType::end, kind, micro_batch, now);
  const Nanoseconds begun = turn_.running_since.load(std::memory_order_relaxed);
  turn_.running_since.store(0, std::memory_order_relaxed);
  count(kind, micro_batch, now - begun, now);
  if (unit_.turn) unit_.turn->give();
  return now;
}

void StageRunner::count(ActionKind kind, std::int64_t micro_batch, Nanoseconds took, Nanoseconds now) {
  raise(unit_.slowest[static_cast<int>(kind)], std::max<Nanoseconds>(1, took));
  unit_.actions_done.fetch_add(1, std::memory_order_relaxed);
  if (kind == ActionKind::update) {
    raise(state_.batch_ended[micro_batch % 8], now);
  } else if (state_.pass.mode == Mode::infer) {
    raise(state_.batch_ended[state_.pass.cut.batch_of(micro_batch) % 8], now);
  }
}

void StageRunner::note_async(ActionKind kind, std::int64_t micro_batch, const Arrivals& arrivals,
                             const AsyncTimes& times) {
  if (state_.timed) {
    note_needs(kind, micro_batch, arrivals);
    note(EventType::ready, kind, micro_batch, times.ready);
    note(EventType::submitted, kind, micro_batch, times.submitted);
    note(EventType::begin, kind, micro_batch, times.begin);
    note(EventType::step, kind, micro_batch, times.end, 0);
    note(EventType::end, kind, micro_batch, times.end);
  }
  count(kind, micro_batch, times.end - times.begin, times.end);
  const MicroBatch& what = state_.micro_batch(micro_batch);
  if (kind == ActionKind::forward && unit_.worker.has_loss() && !state_.failed()) finish_loss(what);
}

void StageRunner::ended(ActionKind kind, std::int64_t micro_batch) {
  if (kind == ActionKind::update) {
    state_.updates_done.fetch_add(1, std::memory_order_acq_rel);
    return state_.notify();
  }
  MicroBatch& what = state_.micro_batch(micro_batch);
  bool wake = false;
  if (kind == ActionKind::forward && stage_.entry)
    wake = what.readers_left.fetch_sub(1, std::memory_order_acq_rel) == 1;
  if (kind == last_kind(state_, unit_.stage, micro_batch)) {
    if (state_.timed && !state_.failed()) unit_.images += what.images;
    if (what.stages_left.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      (state_.failed() ? state_.micro_batches_failed : state_.micro_batches_out)
          .fetch_add(1, std::memory_order_acq_rel);
      wake = true;
    }
  }
  if (wake) state_.notify();
}

}  // namespace lenet_flow

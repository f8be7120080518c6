#include "engine/pipeline/async_flow.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/pipeline/transfers.h"

namespace lenet_flow {
namespace {

constexpr std::size_t most_recordings = 4096;  // of a stage: more shapes and slots than that are recorded anew
constexpr int stamps_a_block = 256;
constexpr int usual_marks = 8 * most_submitted;

}  // namespace

AsyncFlow::AsyncFlow(RunState& state, int device)
    : state_(state),
      device_(static_cast<AsyncDevice&>(*state.devices[static_cast<std::size_t>(device)])),
      turn_(*state.turns[static_cast<std::size_t>(device)]),
      time_(device_),
      units_(state.units.size()) {
  for (int i = 0; i <= most_submitted; ++i) update_stamps_.push_back(new_stamps());
  for (int i = 0; i < usual_marks; ++i) marks_.push_back(device_.make_mark());
}

void AsyncFlow::begin_pass() {
  for (Unit& unit : units_)
    if (unit.recordings.size() > most_recordings) unit.recordings.clear();
  last_end_ = 0;
  last_stage_ = -1;
  try {
    time_.calibrate();
  } catch (const std::exception& error) {
    lost_ = true;
    state_.fail({"device '" + device_.name() + "': " + error.what(), nullptr, false, 0});
  }
}

std::unique_ptr<Mark> AsyncFlow::mark_of(WorkQueue& queue) {
  std::unique_ptr<Mark> mark;
  if (marks_.empty()) {
    mark = device_.make_mark();
  } else {
    mark = std::move(marks_.back());
    marks_.pop_back();
  }
  device_.record(*mark, queue);
  return mark;
}

/// A device that is lost reaches nothing any more, and nobody shall wait for it. What it was doing for longest is
/// named; where that is no action, the copy that a token tells of.
bool AsyncFlow::reached(const std::unique_ptr<Mark>& mark, const Token* copied) noexcept {
  if (lost_ || !mark) return true;
  try {
    return device_.reached(*mark);
  } catch (const std::exception& error) {
    lost_ = true;
    if (submitted_.empty() && copied)
      fail(error, *copied);
    else
      fail(error, *submitted_.front().runner, submitted_.front().kind, submitted_.front().micro_batch);
    return true;
  }
}

void AsyncFlow::fail(const std::exception& error, const StageRunner& runner, ActionKind kind,
                     std::int64_t micro_batch) {
  state_.fail(
      {runner.where(kind, -1, micro_batch) + ": " + error.what(), nullptr, false, runner.batch_of(kind, micro_batch)});
}

void AsyncFlow::fail(const std::exception& error, const Token& token) {
  state_.fail({fmt::format("device '{}', copying what stage '{}' needs for its {}: {}", device_.name(),
                           state_.network.stages[static_cast<std::size_t>(token.stage)].name,
                           StageRunner::action_text(state_, token.kind, token.micro_batch), error.what()),
               nullptr, false, 0});
}

/// Room for the stamps at the begin and the end of an action.
std::int64_t* AsyncFlow::new_stamps() {
  if (stamps_left_ == 0) {
    stamps_left_ = stamps_a_block;
    stamps_ = reinterpret_cast<std::int64_t*>(device_.allocate_host(2 * stamps_a_block * sizeof(std::int64_t)));
  }
  return stamps_ + 2 * --stamps_left_;
}

/// Stages of one device have queues of their own, and the schedule's order.
void AsyncFlow::follow_last(WorkQueue& queue) {
  if (submitted_.empty() || !submitted_.back().mark) return;
  if (&submitted_.back().runner->unit().worker.queue() != &queue) device_.wait(queue, *submitted_.back().mark);
}

void AsyncFlow::begin(StageRunner& runner, ActionKind kind, std::int64_t micro_batch,
                      const Arrivals& arrivals) noexcept {
  const Nanoseconds now = steady_now();
  current_ = {};
  current_.runner = &runner;
  current_.kind = kind;
  current_.micro_batch = micro_batch;
  current_.arrivals = arrivals;
  current_.ready = now;
  current_.number = begun_++;
  recorded_ = nullptr;
  recording_ = false;
  if (state_.failed() || lost_) return;
  StageWorker& worker = runner.unit().worker;
  try {
    if (kind == ActionKind::update) {
      follow_last(worker.queue());
      std::int64_t* stamps = update_stamps_[static_cast<std::size_t>(current_.number) % update_stamps_.size()];
      current_.stamps = stamps;
      current_.submitted = steady_now();
      if (state_.timed) device_.stamp(worker.queue(), stamps);
      return;
    }
    runner.prepare(kind, micro_batch);
    key_ = worker.recording_key(kind, state_.micro_batch(micro_batch), state_.pass.mode, state_.pass.epoch,
                                !state_.outputs.empty());
    auto& recordings = units_[static_cast<std::size_t>(runner.unit().number)].recordings;
    const auto known = recordings.find(key_);
    if (known != recordings.end()) {
      recorded_ = &known->second;
      return;
    }
    recorded_ = &recordings[key_];
    recorded_->stamps = new_stamps();
    device_.begin_recording(worker.queue());
    recording_ = true;
    device_.stamp(worker.queue(), recorded_->stamps);
  } catch (const std::exception& error) {
    fail(error, runner, kind, micro_batch);
  }
}

void AsyncFlow::step(StageRunner& runner, ActionKind kind, int step, std::int64_t micro_batch) noexcept {
  if (state_.failed()) return;
  try {
    runner.tell_step(kind, step, micro_batch);
    if (kind == ActionKind::update || recording_) runner.run_step(kind, step, micro_batch);
  } catch (const std::exception& error) {
    state_.fail({runner.where(kind, step, micro_batch) + ": " + error.what(), nullptr, false,
                 runner.batch_of(kind, micro_batch)});
  }
}

void AsyncFlow::submit() noexcept {
  StageRunner& runner = *current_.runner;
  WorkQueue& queue = runner.unit().worker.queue();
  if (current_.kind != ActionKind::update) current_.submitted = steady_now();
  try {
    if (recording_) {
      if (!state_.failed()) device_.stamp(queue, recorded_->stamps + 1);
      recording_ = false;
      recorded_->recording = device_.end_recording(queue);
    }
    if (!state_.failed()) {
      if (current_.kind == ActionKind::update) {
        if (state_.timed) device_.stamp(queue, const_cast<std::int64_t*>(current_.stamps) + 1);
      } else {
        current_.stamps = recorded_->stamps;
        follow_last(queue);
        device_.play(*recorded_->recording, queue);
      }
      current_.mark = mark_of(queue);
      current_.given = true;
    }
  } catch (const std::exception& error) {
    fail(error, runner, current_.kind, current_.micro_batch);
  }
  // Half a recording is of no use.
  if (state_.failed() && recorded_ && !current_.given)
    units_[static_cast<std::size_t>(runner.unit().number)].recordings.erase(key_);
  submitted_.push_back(std::move(current_));
  if (submitted_.size() == 1) look_ahead();
}

void AsyncFlow::add_copy(std::deque<Copy>& copies, const Token& token, WorkQueue& queue, std::int64_t action) {
  copies.push_back({token, mark_of(queue), action});
  turn_.copies.fetch_add(1, std::memory_order_relaxed);
}

bool AsyncFlow::take(const Token& token) noexcept {
  if (state_.failed() || lost_) return false;
  try {
    bool copied = false;
    for_each_copy(state_, token, [&](const float* from, float* to, std::int64_t floats) {
      device_.copy(device_.copies_in(), from, to, floats);
      copied = true;
    });
    if (copied) add_copy(in_, token, device_.copies_in(), -1);
    return copied;
  } catch (const std::exception& error) {
    fail(error, token);
    return false;
  }
}

bool AsyncFlow::give(const Token& token) noexcept {
  const Submitted& action = submitted_.back();
  if (!action.mark || state_.failed()) return false;
  try {
    bool copied = false;
    for_each_copy(state_, token, [&](const float* from, float* to, std::int64_t floats) {
      if (!copied) device_.wait(device_.copies_out(), *action.mark);
      device_.copy(device_.copies_out(), from, to, floats);
      copied = true;
    });
    if (copied) add_copy(out_, token, device_.copies_out(), action.number);
    return copied;
  } catch (const std::exception& error) {
    fail(error, token);
    return false;
  }
}

bool AsyncFlow::given(const Submitted& action, const Token& token) const {
  return std::any_of(out_.begin(), out_.end(), [&](const Copy& copy) {
    return copy.action == action.number && copy.token.stage == token.stage && copy.token.kind == token.kind &&
           copy.token.cause == token.cause && copy.token.micro_batch == token.micro_batch;
  });
}

/// Tells the watchdog which action has been on the device for longest.
void AsyncFlow::look_ahead() {
  if (submitted_.empty()) return turn_.running_since.store(0, std::memory_order_relaxed);
  const Submitted& oldest = submitted_.front();
  turn_.run(oldest.runner->unit().stage, oldest.kind, oldest.micro_batch, std::max(oldest.submitted, last_end_));
}

/// Writes an action that has ended into the trace. Returns when it ended.
Nanoseconds AsyncFlow::note_end(const Submitted& action) {
  const Nanoseconds now = steady_now(), ready = std::max(action.ready, last_end_);
  const Nanoseconds submitted = std::max(ready, action.submitted);
  Nanoseconds begin = submitted, end = now;
  if (action.given && action.stamps && state_.timed && !state_.failed()) {
    begin = std::clamp(time_.steady(action.stamps[0]), submitted, now);
    end = std::clamp(time_.steady(action.stamps[1]), begin, now);
  }
  Arrivals arrivals = action.arrivals;
  if (last_end_ > arrivals.order.time && last_stage_ >= 0) arrivals.order = {last_end_, last_stage_};
  action.runner->note_async(action.kind, action.micro_batch, arrivals, {ready, submitted, begin, end});
  last_end_ = end;
  last_stage_ = action.runner->unit().stage;
  look_ahead();
  return end;
}

}  // namespace lenet_flow

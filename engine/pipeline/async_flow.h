#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <vector>

#include "devices/async_device.h"
#include "engine/pipeline/run_state.h"
#include "engine/pipeline/stage_runner.h"
#include "engine/trace/device_time.h"

namespace lenet_flow {

/// The work that one asynchronous device has been given: its actions, and the copies of what comes to it and goes from
/// it. All calls from its host thread, which never waits for the device: it looks whether marks are reached.
///
/// What an action puts on the device is recorded the first time (RecordingKey), and played as one piece from then on.
/// The device's actions are done in the order in which they are submitted, so that what follows on the same device may
/// be submitted before them; only other devices, and the host, hear when they have ended.
class AsyncFlow {
 public:
  /// An action on its way.
  struct Submitted {
    StageRunner* runner = nullptr;
    ActionKind kind = ActionKind::forward;
    std::int64_t micro_batch = 0;
    Arrivals arrivals;
    Nanoseconds ready = 0, submitted = 0;
    std::unique_ptr<Mark> mark;                     ///< null: the pass has failed, nothing was put on the device
    bool given = false;                             ///< something was
    const volatile std::int64_t* stamps = nullptr;  ///< the device's clock at begin and end
    std::int64_t number = 0;                        ///< counts the device's actions
  };
  AsyncFlow(RunState& state, int device);

  void begin_pass();

  /// An action: begun, step by step, submitted. What goes wrong becomes the pass's failure.
  void begin(StageRunner& runner, ActionKind kind, std::int64_t micro_batch, const Arrivals& arrivals) noexcept;
  void step(StageRunner& runner, ActionKind kind, int step, std::int64_t micro_batch) noexcept;
  void submit() noexcept;
  /// As many actions as may be are on their way: the next must not begin.
  bool full() const { return submitted_.size() >= most_submitted; }
  /// During a call of `ended` of poll(): as many were before this one ended, so that the next one's turn was held back.
  bool was_full() const { return submitted_.size() + 1 >= most_submitted; }

  /// Copies what a token from the host or a CPU device tells of into the device's memory. False: there is nothing to
  /// copy, the token may go on at once; else poll() hands it on.
  bool take(const Token& token) noexcept;
  /// After submit(): copies what a token for another device tells of out of this device's memory. False: there is
  /// nothing to copy; else the token is posted when the copy has ended.
  bool give(const Token& token) noexcept;
  /// Whether give() said so of a token of an action that has just ended.
  bool given(const Submitted& action, const Token& token) const;

  /// Calls ended(submitted, end) for actions that have ended, in their order, and arrived(token) for tokens whose
  /// copies have.
  template <typename Ended, typename Arrived>
  Looked poll(Ended&& ended, Arrived&& arrived);

  const DeviceTime& time() const { return time_; }

 private:
  struct Recorded {
    std::unique_ptr<Recording> recording;
    std::int64_t* stamps = nullptr;
  };
  struct Unit {
    std::map<RecordingKey, Recorded> recordings;
  };
  struct Copy {
    Token token;
    std::unique_ptr<Mark> mark;
    std::int64_t action = -1;  ///< of a copy out: the number of the action whose output it is
  };

  std::unique_ptr<Mark> mark_of(WorkQueue& queue);
  void add_copy(std::deque<Copy>& copies, const Token& token, WorkQueue& queue, std::int64_t action);
  bool reached(const std::unique_ptr<Mark>& mark, const Token* copied) noexcept;
  std::int64_t* new_stamps();
  void follow_last(WorkQueue& queue);
  void look_ahead();
  Nanoseconds note_end(const Submitted& action);
  void fail(const std::exception& error, const StageRunner& runner, ActionKind kind, std::int64_t micro_batch);
  void fail(const std::exception& error, const Token& token);

  RunState& state_;
  AsyncDevice& device_;
  DeviceTurn& turn_;
  DeviceTime time_;
  std::vector<Unit> units_;  ///< by UnitState::number
  std::deque<Submitted> submitted_;
  std::deque<Copy> in_, out_;
  std::vector<std::unique_ptr<Mark>> marks_;  ///< free ones
  std::vector<std::int64_t*> update_stamps_;
  std::int64_t* stamps_ = nullptr;  ///< free ones of the last block
  int stamps_left_ = 0;
  bool lost_ = false;  ///< the device answers nothing any more
  std::int64_t begun_ = 0, ended_ = 0;
  Nanoseconds last_end_ = 0;  ///< of the device's last action
  int last_stage_ = -1;

  Submitted current_;
  RecordingKey key_{};
  Recorded* recorded_ = nullptr;  ///< of the current action, where it is recorded already
  bool recording_ = false;
};

template <typename Ended, typename Arrived>
Looked AsyncFlow::poll(Ended&& ended, Arrived&& arrived) {
  Looked looked = Looked::idle;
  while (!in_.empty()) {
    if (!reached(in_.front().mark, &in_.front().token)) {
      looked = Looked::waiting;
      break;
    }
    Copy copy = std::move(in_.front());
    in_.pop_front();
    turn_.copies.fetch_sub(1, std::memory_order_relaxed);
    marks_.push_back(std::move(copy.mark));
    copy.token.arrives = std::max(copy.token.arrives, steady_now());
    arrived(copy.token);
    looked = Looked::moved;
  }
  const auto waits = [&] {
    if (looked == Looked::idle) looked = Looked::waiting;
  };
  while (!submitted_.empty()) {
    if (submitted_.front().mark && !reached(submitted_.front().mark, nullptr)) {
      waits();
      break;
    }
    Submitted action = std::move(submitted_.front());
    submitted_.pop_front();
    if (action.mark) marks_.push_back(std::move(action.mark));
    const Nanoseconds end = note_end(action);
    for (Copy& copy : out_)
      if (copy.action == action.number) copy.token.time = end;
    ended_ = action.number + 1;
    ended(action, end);
    looked = Looked::moved;
  }
  while (!out_.empty()) {
    if (out_.front().action >= ended_ || !reached(out_.front().mark, &out_.front().token)) {
      waits();
      break;
    }
    Copy copy = std::move(out_.front());
    out_.pop_front();
    turn_.copies.fetch_sub(1, std::memory_order_relaxed);
    marks_.push_back(std::move(copy.mark));
    copy.token.arrives = std::max(state_.arrival(copy.token), steady_now());
    state_.post(copy.token);
    looked = Looked::moved;
  }
  return looked;
}

}  // namespace lenet_flow

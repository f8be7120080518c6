#pragma once

#include <cstdint>
#include <functional>
#include <queue>
#include <string>
#include <vector>

#include "engine/trace/record.h"

namespace lenet_flow {

/// What can be counted along a run: how many micro-batches each link holds, how many are admitted, the activations that
/// devices hold, the rate of images. Actions come device by device, not in the order of time, so changes wait here
/// until no device can have an earlier one. Works on every action of a pass, also on those whose values nobody wants.
class CounterLine {
 public:
  /// A value that changed.
  using Tell = std::function<void(std::size_t counter, Nanoseconds time, double value, std::int64_t batch)>;

  enum class Group : std::uint8_t { stages, devices };
  struct Counter {
    std::string name, unit;
    Group group = Group::stages;
  };

  CounterLine(const TracedPipeline& pipeline, Tell tell);

  const std::vector<Counter>& counters() const { return counters_; }
  void begin_pass(const PassTrace& pass);
  /// Actions of a device in the order of time.
  void add(const ActionRecord& action);
  /// Tells all that is left.
  void end_pass();

 private:
  struct Change {
    Nanoseconds time = 0;
    std::int64_t batch = 0;
    std::size_t counter = 0;
    double by = 0;
    /// Of two at one time the rise comes first: what comes out of a link has gone in.
    bool operator>(const Change& other) const { return time != other.time ? time > other.time : by < other.by; }
  };

  void change(Nanoseconds time, std::int64_t batch, std::size_t counter, double by) {
    waiting_.push({time, batch, counter, by});
  }
  void tell_until(Nanoseconds time);
  void add_rate(const Change& change);
  double images_of(std::int64_t micro_batch) const;

  const TracedPipeline& pipeline_;
  Tell tell_;
  std::vector<Counter> counters_;
  std::vector<double> values_;
  std::size_t first_credit_ = 0, first_memory_ = 0, rate_ = 0;
  std::vector<int> credit_of_stage_;  ///< -1: the stage has none
  int loss_stage_ = 0;
  PassTrace pass_;
  std::priority_queue<Change, std::vector<Change>, std::greater<>> waiting_;
  std::vector<Nanoseconds> seen_;  ///< one a device: it has no earlier change to come
  // The batch that the loss stage is at, and when the batch before it was through.
  Nanoseconds batch_began_ = 0;
  double batch_images_ = 0;
};

}  // namespace lenet_flow

#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "engine/trace/record.h"
#include "engine/trace/stage_clock.h"

namespace lenet_flow {

/// Durations in classes that are 1/32 of an octave wide (so quantiles are right within 3%), from 1 ns on;
/// HdrHistogram's way (Tene, "HdrHistogram: A High Dynamic Range Histogram").
class DurationHistogram {
 public:
  void add(Nanoseconds duration);
  std::uint64_t count() const { return count_; }
  double mean_seconds() const;
  double max_seconds() const { return static_cast<double>(max_) * 1e-9; }
  double total_seconds() const { return static_cast<double>(sum_) * 1e-9; }
  /// The duration that a share of all do not exceed; 0 where there are none.
  double quantile_seconds(double share) const;

 private:
  std::vector<std::uint32_t> classes_;
  std::uint64_t count_ = 0;
  Nanoseconds sum_ = 0, max_ = 0;
};

/// Where the time of one unit (replica of a stage) or of one device went.
struct TimeAccount {
  StateSeconds seconds;                             ///< together the length of all passes
  double update_seconds = 0, injected_seconds = 0;  ///< parts of seconds.compute and of the other states
  std::int64_t actions = 0;
};

/// The same for one epoch (or the images to infer).
struct EpochAccount {
  int epoch = 0;
  double seconds = 0;
  std::vector<StateSeconds> units, devices;
};

/// How long one step of one kind of action takes.
struct StepAccount {
  int unit = 0;
  ActionKind kind = ActionKind::forward;
  std::string step;  ///< the layer's name, "loss", "update"
  DurationHistogram durations;
};

/// The stall accounting of a run: each unit's and each device's time in exclusive states, per pass and in all, computed
/// from the events; what is not known is `unaccounted`.
class Account final : public TraceSink {
 public:
  explicit Account(const TracedPipeline& pipeline);

  void begin_pass(const PassTrace& pass) override;
  void on_action(const ActionRecord& action) override;
  void on_lost(int device, Nanoseconds from, Nanoseconds until) override;
  void on_sleep(int device, Nanoseconds from, Nanoseconds until) override;
  void end_pass(const PassEnd& end) override;

  const std::vector<TimeAccount>& units() const { return units_; }
  const std::vector<TimeAccount>& devices() const { return devices_; }
  const std::vector<EpochAccount>& epochs() const { return epochs_; }
  /// Those that have run, unit by unit in the order of their steps.
  std::vector<StepAccount> steps() const;
  double seconds() const { return seconds_; }
  std::uint64_t lost() const { return lost_; }
  std::uint64_t backward() const { return backward_; }
  /// How often host threads slept, and for how long together.
  std::uint64_t sleeps() const { return sleeps_; }
  double asleep_seconds() const { return static_cast<double>(asleep_) * 1e-9; }

 private:
  void close_epoch(double seconds);

  const TracedPipeline& pipeline_;
  PassTrace pass_;
  std::vector<StageClock> unit_clocks_, device_clocks_;
  std::vector<TimeAccount> units_, devices_;
  std::vector<std::array<std::vector<DurationHistogram>, action_kinds>> steps_;  ///< [unit][kind][step]
  std::vector<EpochAccount> epochs_;
  double seconds_ = 0;
  std::uint64_t lost_ = 0, backward_ = 0, sleeps_ = 0;
  Nanoseconds asleep_ = 0;
};

}  // namespace lenet_flow

#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/schedule/schedule.h"
#include "engine/schedule/schedule_rules.h"
#include "engine/trace/keeper.h"
#include "engine/trace/record.h"

namespace lenet_flow {

/// What a pass ran by, beside its records: the lists of a full batch and the rules that order them. Without flush one
/// list of the whole pass.
struct RanBy {
  Schedule schedule;
  ScheduleShape shape;
  ScheduleLimits limits;
  bool whole_pass = false;  ///< `schedule` is of the whole pass; updates carry the batch's number
};

/// The actions of a pass in the order in which they began, with all that each had to wait for: what it did wait for is
/// in the records, but with other durations it could be any of them.
class PassGraph {
 public:
  struct Need {
    std::size_t action = 0;  ///< its number here
    Rule rule = Rule::data;
    int link = -1;  ///< that the data crosses, or -1
  };
  static constexpr std::size_t none = ~std::size_t{0};

  /// Takes the batches of which all actions were kept; a short last batch is left out, unless it is the only one. All
  /// arguments must outlive this.
  PassGraph(const TracedPipeline& pipeline, const KeptPass& pass, const RanBy& by);

  std::size_t size() const { return actions_.size(); }
  bool empty() const { return actions_.empty(); }
  const ActionRecord& action(std::size_t number) const { return *actions_[number]; }
  const TracedPipeline::Unit& unit_of(std::size_t number) const {
    return pipeline_.units[static_cast<std::size_t>(action(number).unit)];
  }
  std::span<const Need> needs(std::size_t number) const {
    return std::span(needs_).subspan(first_need_[number], first_need_[number + 1] - first_need_[number]);
  }
  /// The action before it on its device, and the one before it of its unit; or none.
  std::size_t device_before(std::size_t number) const { return device_before_[number]; }
  std::size_t unit_before(std::size_t number) const { return unit_before_[number]; }
  /// The action of a stage that ended at a time, or none.
  std::size_t ended_at(int stage, Nanoseconds time) const;

  const TracedPipeline& pipeline() const { return pipeline_; }
  const KeptPass& pass() const { return pass_; }
  Nanoseconds begin() const { return pass_.pass.begin; }
  Nanoseconds end() const { return end_; }  ///< of the last action here
  std::int64_t batches() const { return batches_; }
  /// Between host and host: from when the last thing that an action waited for had come until it was ready.
  Nanoseconds hand_over(std::size_t number) const;
  /// The part of a time in which other devices computed on the cores that this action's device shares: its thread could
  /// not run.
  Nanoseconds cores_taken(std::size_t number, Nanoseconds from, Nanoseconds until) const;

 private:
  std::int64_t whole_batches(const RanBy& by) const;
  void add_needs(const RanBy& by, int micro_batches);
  int core_group(std::size_t number) const;

  const TracedPipeline& pipeline_;
  const KeptPass& pass_;
  std::vector<const ActionRecord*> actions_;
  std::vector<std::size_t> first_need_, device_before_, unit_before_;
  std::vector<Need> needs_;
  std::vector<std::vector<std::size_t>> of_unit_;  ///< in the order of running
  /// One a group of cores: its actions (they take turns), in the order of running.
  std::vector<std::vector<std::size_t>> of_cores_;
  std::int64_t batches_ = 0;
  Nanoseconds end_ = 0;
};

/// When the last thing that an action waited for had come.
Nanoseconds last_arrival(const Arrivals& arrivals);

}  // namespace lenet_flow

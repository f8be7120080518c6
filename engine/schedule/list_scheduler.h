#pragma once

#include <limits>
#include <vector>

#include "engine/schedule/schedule.h"

namespace lenet_flow {

/// What a list scheduler prefers, and how far a stage may run ahead.
struct ListPolicy {
  bool split = false;           ///< I and W instead of B
  bool forward_first = false;   ///< a device begins no gradients before its last F
  bool prefer_forward = false;  ///< F before I or B where the bounds below allow both
  /// One a stage, empty for no bound: F that each replica may have done without their I (or B).
  std::vector<int> waiting;
  /// One a stage, empty for no bound: F that each replica may have done without their W (or B); what activations take.
  std::vector<int> held;
  /// How many micro-batches F of a stage may be ahead of F of the stages after it.
  int ahead = std::numeric_limits<int>::max();
  /// W does not begin where I or F is known to become ready within this share of its time.
  double patience = 0;
  /// A device begins no F that would leave too little of its memory for the oldest micro-batch; null for no limit.
  const MemoryLimits* memory = nullptr;
};

/// The lists that devices come to when each, as soon as it is free, begins what is ready: U first, then I or B, then F
/// (or F, then I or B), then W; the oldest micro-batch first, of one micro-batch the stage nearest the end.
/// Micro-batches keep their order in each stage and kind. Works for any links, placement and number of micro-batches;
/// `waiting` and `held` must be at least 1.
///
/// It cannot come to a stop: of the oldest micro-batch that is not done, nothing is held up by a bound, as all bounds
/// count younger ones against those before them; and as all lists come from one course in time, they cannot deadlock.
Schedule list_schedule(const ScheduleShape& shape, const ActionCosts& costs, const ListPolicy& policy);

}  // namespace lenet_flow

#pragma once

#include <vector>

#include "engine/schedule/schedule.h"

namespace lenet_flow {

/// An action with when it runs, in the unit of the costs. Its micro-batch is counted within its batch.
struct TimedAction {
  Action action;
  int batch = 0;
  double start = 0, end = 0;
};

/// What a simulator says of a schedule.
struct Simulation {
  std::vector<std::vector<TimedAction>> devices;  ///< one list a device, in the order of running
  double length = 0;                              ///< from the first start to the last end
  std::vector<double> device_busy, stage_busy;    ///< time in actions; a stage's over all its replicas
  /// Share of `length` in which devices that have a stage run no action, over all of them.
  double bubble = 0;
  std::vector<double> device_bubble;  ///< one a device
  /// The slots with which nothing in this simulation would have waited for one: for each stage, by kind of tensor, the
  /// longest run of micro-batches of a replica of which the first is still held when the last comes. As many as are
  /// held at one time where micro-batches end in the order in which they began.
  std::vector<StageSlots> peak_slots;
  /// The same for the micro-batches that an entry stage has begun and not ended.
  int peak_in_flight = 1;
  /// The same for each link: micro-batches between F of the stage before it and the end of F of the stage after it.
  std::vector<int> peak_link_load;
  std::vector<double> device_peak_bytes;  ///< with MemoryLimits; empty without
};

/// Runs `batches` batches, one right behind the other with no barrier, each action as early as its device's list and
/// the rules of check_schedule() let it. Needs no device. Throws std::logic_error for a schedule that check_schedule()
/// refuses.
Simulation simulate(const Schedule& schedule, const ScheduleShape& shape, const ActionCosts& costs,
                    const ScheduleLimits& limits, int batches = 1, const MemoryLimits& memory = {});

/// Bounds with which a schedule runs as it was meant to: in_flight and slots as large as it fills them when actions
/// take what `costs` says (all equally long where that is empty), links as large as what is in flight. In inference,
/// where nothing else bounds how far a stage runs ahead, a link holds one micro-batch more than the longest way round
/// it has stages. `in_flight`, `link_capacity`: what the user asks for, or 0. Where the schedule deadlocks with what
/// was asked, the bounds are such that check_schedule() says so. Throws std::logic_error where it deadlocks without.
ScheduleLimits natural_limits(const Schedule& schedule, const ScheduleShape& shape, int in_flight = 0,
                              int link_capacity = 0, const ActionCosts& costs = {});

/// No bounds: what natural_limits() starts from.
ScheduleLimits unbounded();

}  // namespace lenet_flow

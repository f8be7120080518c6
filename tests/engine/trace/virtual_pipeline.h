#pragma once

#include <cstdint>
#include <vector>

#include "engine/schedule/schedule.h"
#include "engine/schedule/simulate.h"
#include "engine/trace/account.h"
#include "engine/trace/causes/diagnosis.h"
#include "engine/trace/collector.h"
#include "engine/trace/keeper.h"

namespace lenet_flow::test {

/// A pipeline on a virtual clock, with everything that can hold it up. Times in nanoseconds.
struct VirtualPipeline {
  ScheduleShape shape;
  Schedule schedule;
  ScheduleLimits limits;
  int batches = 1;
  struct StageTimes {
    Nanoseconds forward = 1000, input_gradients = 1000, parameter_gradients = 1000, update = 100;
  };
  std::vector<StageTimes> stages;
  std::vector<Nanoseconds> transfers;  ///< one a link, both ways
  std::vector<Nanoseconds> wake_ups;   ///< one a device: from the last arrival to ready
  std::vector<int> core_groups;        ///< one a device; -1: cores of its own
  Nanoseconds read = 100;              ///< a micro-batch
  int reader_threads = 2, read_ahead = 4;
};

/// What the engine's accounting makes of it.
struct VirtualRun {
  TracedPipeline traced;
  Nanoseconds length = 0;
  std::vector<StateSeconds> units, devices;
  std::vector<std::int64_t> events_lost;
  Diagnosis diagnosis;
  Nanoseconds replayed = 0;
  std::uint64_t lost = 0;
};

/// Runs it in the order of time, event by event, and writes each device's events into its ring as the engine does.
/// `ring`: events a device; small ones overflow, because they are read only every `read_every` actions.
VirtualRun run(const VirtualPipeline& pipeline, std::size_t ring = 1024, int read_every = 8);

}  // namespace lenet_flow::test

#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "engine/graph/network.h"
#include "engine/pipeline/device_set.h"
#include "engine/pipeline/injected_delays.h"
#include "engine/pipeline/run_state.h"
#include "engine/pipeline/stage_memory.h"
#include "engine/schedule/schedule.h"
#include "engine/schedule/simulate.h"
#include "layers/optimizer.h"

namespace lenet_flow {

/// How a network is to be run.
struct PipelineOptions {
  const ScheduleType* schedule = nullptr;     ///< of training; a run that only infers takes `inference`
  std::optional<Schedule> custom;             ///< takes the place of `schedule`: of a full batch
  std::optional<ActionCosts> costs;           ///< for `auto`, measured in seconds; none: estimated (stage_costs.h)
  std::int64_t batch = 64, micro_batch = 64;  ///< images
  int in_flight = 0;                          ///< 0: what the schedule fills
  int link_capacity = 0;                      ///< 0: as many as are in flight
  bool training = true;
  WeightVersions weight_versions = WeightVersions::flush;  ///< others: schedule `1f1b` without flush
  std::uint64_t seed = 1;
  double watchdog_seconds = 0;  ///< 0: 10 times the slowest action seen, at least 1 s
  /// Bytes that each device may hold, by DeviceSet's numbers; empty: no limit but the machine's.
  std::vector<double> device_bytes;
  InjectedDelays delays;                          ///< made on purpose
  std::function<void(const StepFacts&)> on_step;  ///< runs before each step; throwing fails the step. For tests.
  std::function<bool(const Token&)> on_send;      ///< false: the token gets lost. For tests.
};

/// The name of the schedule that these options ask for: "inference" where the run only infers.
std::string schedule_name(const PipelineOptions& options);

/// The shape of a schedule for a network: what generators and the checker take. Devices are numbered as DeviceSet does.
/// Throws InputError where two replicas of a stage lie on one device.
ScheduleShape schedule_shape(const Network& network, const DeviceSet& devices, int micro_batches, bool training);

/// What follows from network, devices and options before anything is allocated: the schedule and the memory.
struct PipelinePlan {
  ScheduleShape shape;    ///< of a full batch
  ActionCosts costs;      ///< what `auto` is made for, in seconds
  bool measured = false;  ///< those that the file does not give; else they are estimated
  /// Of a full batch in training; where the run only infers, of inference; without flush of some batches as one.
  Schedule schedule;
  /// What `schedule` is made for: `shape`, or without flush that of some batches as one.
  ScheduleShape sample_shape;
  Schedule inference;  ///< of a full batch
  /// Bounds of `schedule` and of `inference`. Both run in the same memory: their slots are the same.
  ScheduleLimits limits, inference_limits;
  std::vector<StageMemory> memory;             ///< one a unit, stage by stage and replica by replica; not allocated
  std::vector<std::uint64_t> workspace_bytes;  ///< one a device
  std::uint64_t reader_bytes = 0;
  int read_ahead = 0;  ///< micro-batches that may be decoded before they are taken

  /// Without flush: of each stage, how many versions of its parameters live at a time. Else empty.
  std::vector<int> versions;

  /// Bytes that device `index` will hold.
  std::uint64_t device_bytes(int index) const;
  /// The device of a unit of `memory`.
  int device_of(const StageMemory& unit) const {
    return shape.devices_of_stage[static_cast<std::size_t>(unit.stage())][static_cast<std::size_t>(unit.replica())];
  }
};

/// Bytes of `unit`, a replica of a stage that recomputes, were it to keep its activations under the same schedule.
MemoryBytes bytes_without_recompute(const Network& network, const StageMemory& unit);

/// Without flush a pass has one list of actions a device: those of `1f1b` for all its micro-batches as one batch, each
/// stage's update right after its last B of each batch (Narayanan et al., "PipeDream", SOSP 2019). Actions carry the
/// micro-batch's number in the pass and updates the batch's. `shape`: of a full batch.
Schedule unflushed_schedule(const ScheduleType& type, const ScheduleShape& shape, int micro_batches);

/// Throws InputError where the placement does not fit the schedule, the schedule cannot run (deadlock under in_flight
/// or link_capacity), or a device would hold more than it may.
PipelinePlan plan_pipeline(const Network& network, const DeviceSet& devices, const PipelineOptions& options,
                           const Optimizer* optimizer);

}  // namespace lenet_flow

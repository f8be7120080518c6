#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "devices/energy.h"
#include "engine/trace/causes/diagnosis.h"
#include "engine/trace/sampling.h"
#include "engine/trace/states.h"

namespace lenet_flow {

struct EpochResult {
  int epoch = 0;
  std::int64_t images = 0;
  double seconds = 0;
  double loss = 0;  ///< mean over the epoch's images, as they were trained
  double test_loss = 0, test_accuracy = 0;
  double learning_rate = 0;               ///< of the epoch's last update
  std::vector<StateSeconds> stages = {};  ///< one a StageResult; none where the epoch was trained before a --resume
};

struct StageResult {
  std::string name, device;
  int replica = 0;
  std::vector<std::string> layers;
  std::int64_t images = 0;
  StateSeconds seconds;
  double update_seconds = 0;  ///< of seconds.compute: the optimizer's
  double injected_seconds = 0;
  std::uint64_t peak_bytes = 0;
  std::optional<std::uint64_t> bytes_without_recompute;  ///< of a stage that recomputes: what peak_bytes would be
  int weight_versions = 1;                               ///< of its parameters that live at a time
  /// Without flush: how many of its updates came from gradients that were behind by 0, 1, 2, ... updates.
  std::vector<std::int64_t> staleness;
};

/// A delay that the run was made to take on purpose (`--inject`).
struct InjectedResult {
  std::string text;  ///< as it was asked for
  std::string what;  ///< "layer", "device", "link"
  std::string name;  ///< of it; a link's by its stages
  double seconds = 0, factor = 1;
  double bytes_per_second = 0;  ///< of a link; 0: no limit
};

struct DeviceResult {
  std::string name, asked, used;
  std::string why;         ///< empty where used as asked
  std::vector<int> cores;  ///< of a CPU device
  int index = -1;          ///< of a GPU
  std::uint64_t memory_bytes = 0;
  std::optional<StateSeconds> seconds = {};  ///< none where no stage runs on it
};

/// How long one layer (or the loss, or the update) of a stage takes in one kind of action, a micro-batch.
struct StepResult {
  std::string stage, device, step;
  int replica = 0;
  ActionKind action = ActionKind::forward;
  std::uint64_t count = 0;
  double total = 0, mean = 0, p50 = 0, p90 = 0, p99 = 0, max = 0;  ///< seconds
};

/// What tracing itself did and cost.
struct TraceResult {
  std::string clock;  ///< "time-stamp counter" or "steady clock"
  double clock_drift_ppm = 0;
  std::uint64_t events = 0, lost = 0, backward = 0;
  std::uint64_t sleeps = 0;  ///< of host threads that had nothing to do
  double asleep_seconds = 0;
  double event_seconds = 0;    ///< writing one event, measured after the run
  double device_share = 0;     ///< of the devices' time, spent in writing events
  double collector_share = 0;  ///< of one core's time, spent in reading and adding up
  std::string file;            ///< of `--trace`; empty: none
  TraceCoverage coverage;      ///< of what was exported: to `file`
};

/// What schedule `auto` was made for, of one stage: seconds of one micro-batch (of the update: of a batch).
struct StageCostsResult {
  std::string stage;
  std::string source;  ///< "measured", "estimated", "given", or "given and ..."
  double forward = 0, input_gradients = 0, parameter_gradients = 0, update = 0;
};

struct PipelineResult {
  std::string schedule;
  int stages = 0;
  std::int64_t micro_batch = 0;
  int micro_batches = 0;  ///< of a full batch
  int in_flight = 0;
  double bubble_measured = 0;             ///< share of the devices' time in which no stage on them computes
  std::optional<double> bubble_theory;    ///< of the schedule with stages of equal cost; none where no formula is known
  std::string weight_versions = "flush";  ///< "stashing", "double_buffered": what pipeline.flush and its fields ask for
  std::vector<StageCostsResult> costs = {};  ///< of schedule `auto`; else empty
};

/// What a run says of itself: `--json`, schema lenet-flow.run/1, and the closing table. The fields are those of the
/// contract, under the same names.
struct RunResult {
  std::string version, graph, mode = "train";
  std::uint64_t seed = 0;
  std::string command;
  std::string data_set, data_location;
  std::string simd;  ///< the SIMD target of the CPU kernels: bits are equal per build and target
  std::vector<DeviceResult> devices;
  std::vector<EpochResult> epochs;
  std::int64_t images = 0;
  double seconds = 0, images_per_second = 0;  ///< training (or inferring) only
  double wall_seconds = 0;
  double test_accuracy = 0, test_loss = 0;
  std::string parameters_sha256;
  PipelineResult pipeline;
  std::vector<StageResult> stages;
  std::vector<StepResult> steps;
  TraceResult trace;
  Diagnosis diagnosis;
  std::uint64_t peak_resident_bytes = 0;
  std::vector<EnergyReading> energy;  ///< of a run, in its `seconds`: CPU packages, then GPUs by device
  std::vector<InjectedResult> injected;
  std::vector<std::string> warnings;
  bool interrupted = false;
};

/// The result as JSON text, one key of the contract each; NaN and infinity become null. Ends with a line feed.
std::string result_json(const RunResult& result);

}  // namespace lenet_flow

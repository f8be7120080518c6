#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace lenet_flow {

/// Where a stage's time went: exclusive states, in seconds; together they are the run's `seconds`
/// (the words are those of the stall taxonomy in engine/trace/README.md).
struct StateSeconds {
  double compute = 0, transfer = 0, launch = 0, sync = 0, blocked = 0, starved = 0, no_credit = 0, contended = 0,
         optimizer = 0, fill = 0, drain = 0, unaccounted = 0;

  double sum() const {
    return compute + transfer + launch + sync + blocked + starved + no_credit + contended + optimizer + fill + drain +
           unaccounted;
  }
};

struct EpochResult {
  int epoch = 0;
  std::int64_t images = 0;
  double seconds = 0;
  double loss = 0;  ///< mean over the epoch's images, as they were trained
  double test_loss = 0, test_accuracy = 0;
  double learning_rate = 0;  ///< of the epoch's last update
};

struct StageResult {
  std::string name, device;
  int replica = 0;
  std::vector<std::string> layers;
  std::int64_t images = 0;
  StateSeconds seconds;
  double injected_seconds = 0;
  std::uint64_t peak_bytes = 0;
};

struct DeviceResult {
  std::string name, asked, used;
  std::string why;         ///< empty where used as asked
  std::vector<int> cores;  ///< of a CPU device
  int index = -1;          ///< of a GPU
  std::uint64_t memory_bytes = 0;
};

struct PipelineResult {
  std::string schedule;
  int stages = 0;
  std::int64_t micro_batch = 0;
  int micro_batches = 0;  ///< of a full batch
  int in_flight = 0;
  double bubble_measured = 0;           ///< share of the stages' time in which they compute nothing
  std::optional<double> bubble_theory;  ///< of the schedule with stages of equal cost; none where no formula is known
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
  std::uint64_t peak_resident_bytes = 0;
  std::vector<std::string> warnings;
  bool interrupted = false;
};

/// The result as JSON text, one key of the contract each; NaN and infinity become null. Ends with a line feed.
std::string result_json(const RunResult& result);

}  // namespace lenet_flow

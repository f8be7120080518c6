#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "engine/graph/graph_file.h"
#include "engine/graph/network.h"
#include "engine/pipeline/run_error.h"
#include "engine/training/result.h"

namespace lenet_flow {

class Pipeline;

/// How far a run is. Given to RunOptions::progress every now and then, from the calling thread.
struct Progress {
  bool evaluating = false;
  int epoch = 1, epochs = 1;
  std::int64_t images = 0, epoch_images = 0;  ///< done in this epoch (or evaluation), and in all of it
  double images_per_second = 0;
  double loss = 0;                         ///< mean over this epoch's images so far
  double seconds_left = 0;                 ///< of the whole run, estimated
  std::optional<EpochResult> epoch_ended;  ///< set once an epoch, after its evaluation
};

class Pipeline;
class Session;

/// What the command line asks of a run, beside the graph file.
struct RunOptions {
  std::filesystem::path graph;
  GraphOptions changes;                       ///< --set (short forms included) and --map
  std::filesystem::path data;                 ///< --data, or empty
  std::optional<std::int64_t> limit;          ///< --limit: the first N training images
  std::optional<std::filesystem::path> init;  ///< --init
  std::optional<std::filesystem::path> checkpoint;
  bool resume = false;
  std::string command;                                   ///< as typed, for the result
  const std::atomic<int>* stop = nullptr;                ///< >= 1: finish what is in flight, checkpoint, return
  std::function<void(const Progress&)> progress;         ///< may be empty
  std::function<void(Pipeline&)> opened;                 ///< may be empty; before the first pass: to add trace sinks
  std::function<void(const std::string& line)> warning;  ///< each warning as it arises; all are in the result too
  std::function<void(Network&)> on_network;              ///< may change the network before it is used. For tests.
  /// Called once when a run (or profile) is over, with the whole result, while its pipeline is still there. May be
  /// empty.
  std::function<void(const Session& session, const Pipeline& pipeline, const RunResult& result)> ended;
};

/// `run`: trains (or infers, when the file says so), then evaluates on the test split. RunResult::interrupted where
/// `stop` ended it early (after a checkpoint where one was asked for). Throws InputError (exit code 2), MissingError
/// (3), RunError (1).
RunResult run_graph(const RunOptions& options);

/// The test split as the network sees it.
struct Evaluation {
  double accuracy = 0, loss = 0;
  std::int64_t images = 0;
  std::vector<std::string> class_names;
  std::vector<std::int32_t> labels, predicted;  ///< one an image
  std::vector<float> probabilities;             ///< [image][class]; empty unless asked for
  std::vector<std::string> warnings;
  bool interrupted = false;  ///< by RunOptions::stop; accuracy and loss are NaN then
};

/// `eval`: the test split with the parameters of `parameters`. Same exceptions.
Evaluation evaluate_graph(const RunOptions& options, const std::filesystem::path& parameters, bool keep_probabilities);

}  // namespace lenet_flow

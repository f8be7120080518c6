#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <vector>

#include "engine/training/checkpoint.h"
#include "engine/training/result.h"
#include "engine/training/session.h"

namespace lenet_flow {

/// All that a run of training needs, beside parameters and optimizer state, to go on as if never stopped. Random
/// numbers need nothing: they are keyed by seed, epoch and sample.
struct TrainingState {
  Position at;
  double loss_sum = 0;              ///< of this epoch's images so far
  double seconds = 0;               ///< trained in this epoch so far
  std::vector<EpochResult> epochs;  ///< that are over
};

/// Trains on what is left of the epoch that `state` stands in, but no more than `most_batches`, and moves `state` on.
/// Where the epoch comes to its end its result is added, with unknown (NaN) test metrics. `progress` gets the images
/// and the sum of losses of this pass. `timed`: counts in the accounts.
PassResult train_epoch(const Session& session, Pipeline& pipeline, TrainingState& state, std::uint64_t most_batches,
                       const std::function<void(std::int64_t images, double loss_sum)>& progress, bool timed = true);

/// The folder of --checkpoint: writes a run's checkpoints and finds the one to go on from.
class CheckpointFolder {
 public:
  /// Makes the folder where it is not there. Throws InputError where nothing can be written in it.
  CheckpointFolder(const std::filesystem::path& folder, Session& session);

  /// For a run that starts anew: warns where checkpoints of another run are there.
  void begin();
  /// --resume: sets the pipeline to the newest whole checkpoint and returns where it stands; a new state, with a
  /// warning, where the folder has no file. Throws InputError where no file is whole, where it is another network's,
  /// and where it was made with other numbers that decide what is trained: seed, batch, micro-batch, data.
  TrainingState resume(Pipeline& pipeline);
  /// Writes epoch-0001.safetensors, or epoch-0002-batch-000123.safetensors for an epoch that is not over; nothing where
  /// the last one written or read stands there already. Throws RunError where it cannot be written (the ones before
  /// are kept), or where a parameter is not finite.
  void save(const Pipeline& pipeline, const TrainingState& state);

 private:
  std::filesystem::path folder_;
  Session& session_;
  std::optional<Position> last_;  ///< of the last checkpoint written or read
};

/// A run's progress as metadata of a checkpoint, and back. `path` is for messages. read_state throws InputError where
/// keys are missing, malformed or contradict one another or an epoch of `batches_per_epoch`.
void write_state(const TrainingState& state, Metadata& metadata);
TrainingState read_state(const Metadata& metadata, std::uint64_t batches_per_epoch, const std::filesystem::path& path);

}  // namespace lenet_flow

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <system_error>

#include "engine/graph/diagnostics.h"
#include "engine/training/run_facts.h"
#include "engine/training/training_state.h"

namespace lenet_flow {
namespace {

/// Writes a file in the folder and removes it again: permission bits say nothing of read-only disks, nor to root.
int try_to_write(const std::filesystem::path& folder) {
  const std::filesystem::path probe = folder / fmt::format(".lenet-flow.{}.tmp", getpid());
  const int descriptor = open(probe.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (descriptor < 0) return errno;
  const int error = write(descriptor, "x", 1) == 1 ? 0 : errno;
  close(descriptor);
  unlink(probe.c_str());
  return error;
}

void check_finite(const std::vector<NamedTensor>& tensors, const Position& at) {
  for (const NamedTensor& tensor : tensors)
    if (tensor.name.find('#') == std::string::npos)
      for (const float value : tensor.values)
        if (!std::isfinite(value))
          throw RunError(
              fmt::format("parameter '{}' is not finite after update {}: no checkpoint was written of that; a "
                          "smaller learning rate may help",
                          tensor.name, at.step));
}

/// "epoch-0001.safetensors" after epoch 1; "epoch-0002-batch-000123.safetensors" in the midst of epoch 2.
std::string file_name(const Position& at) {
  if (at.batch == 0) return fmt::format("epoch-{:04}.safetensors", at.epoch - 1);
  return fmt::format("epoch-{:04}-batch-{:06}.safetensors", at.epoch, at.batch);
}

}  // namespace

CheckpointFolder::CheckpointFolder(const std::filesystem::path& folder, Session& session)
    : folder_(folder), session_(session) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (!error) error = std::error_code(try_to_write(folder), std::generic_category());
  if (error)
    throw InputError(fmt::format("--checkpoint {}: cannot be written to: {}", folder.string(), error.message()));
}

void CheckpointFolder::begin() {
  std::vector<std::string> warnings;
  if (const auto path = newest_checkpoint(folder_, warnings))
    session_.warn(
        fmt::format("{}: there is a checkpoint of an earlier run in '{}'; this run starts anew (--resume would "
                    "go on from it) and writes over files of the same name",
                    path->filename().string(), folder_.string()));
}

TrainingState CheckpointFolder::resume(Pipeline& pipeline) {
  std::vector<std::string> warnings;
  const auto path = newest_checkpoint(folder_, warnings);
  for (const std::string& line : warnings) session_.warn(line);
  if (!path) {
    if (!warnings.empty()) throw InputError(folder_.string() + ": has no whole checkpoint to go on from");
    session_.warn(
        fmt::format("--resume: there is no checkpoint in '{}' yet; starting from the beginning", folder_.string()));
    return {};
  }
  const ParameterFile file = read_parameter_file(*path);
  const std::vector<std::string> differences = compare_facts(file.metadata, run_facts(session_), *path);
  const auto batches = static_cast<std::uint64_t>(session_.cut(session_.train_images()).batches());
  TrainingState state = read_state(file.metadata, batches, *path);
  if (!pipeline.set_parameters(file, path->string()))
    throw InputError(path->string() +
                     ": has parameters, but not all of the optimizer's state; it cannot be gone on from");
  for (const std::string& line : differences) session_.warn(line);
  last_ = state.at;
  return state;
}

void CheckpointFolder::save(const Pipeline& pipeline, const TrainingState& state) {
  if (last_ == state.at) return;
  ParameterFile file;
  file.tensors = pipeline.parameters(true);
  check_finite(file.tensors, state.at);
  file.metadata = run_facts(session_);
  write_state(state, file.metadata);
  try {
    write_parameter_file(folder_ / file_name(state.at), file);
  } catch (const std::system_error& error) {
    throw RunError(fmt::format("the checkpoint could not be written: {}; those before are whole", error.what()));
  }
  last_ = state.at;
}

}  // namespace lenet_flow

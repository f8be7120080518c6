#include "engine/training/training_state.h"

#include <fmt/format.h>

#include <charconv>
#include <system_error>

#include "engine/graph/diagnostics.h"

namespace lenet_flow {
namespace {

// Metadata keys; README.md says what is in them.
constexpr const char* loss_key = "lenet-flow.loss_sum";
constexpr const char* seconds_key = "lenet-flow.seconds";
constexpr const char* epochs_key = "lenet-flow.epochs";

/// Reads the numbers of a text one after another; `bad` once one could not be read.
class NumberReader {
 public:
  explicit NumberReader(std::string_view text) : at_(text.data()), end_(text.data() + text.size()) {}

  template <typename Number>
  void read(Number& number) {
    while (at_ != end_ && *at_ == ' ') ++at_;
    const auto [next, error] = std::from_chars(at_, end_, number);
    bad_ = bad_ || error != std::errc();
    at_ = next;
  }
  /// True where all numbers were good and nothing, or the separator, follows. Steps over it.
  bool ended(char separator) {
    if (bad_ || (at_ != end_ && *at_ != separator)) return false;
    if (at_ != end_) ++at_;
    return true;
  }
  bool at_end() const { return at_ == end_; }

 private:
  const char *at_, *end_;
  bool bad_ = false;
};

[[noreturn]] void refuse(const std::filesystem::path& path, const std::string& key, const std::string& problem) {
  throw InputError(fmt::format("{}: '{}' {}; it cannot be gone on from", path.string(), key, problem));
}

const std::string& value_of(const Metadata& metadata, const std::string& key, const std::filesystem::path& path) {
  const auto found = metadata.find(key);
  if (found == metadata.end()) refuse(path, key, "is missing");
  return found->second;
}

double read_number(const Metadata& metadata, const std::string& key, const std::filesystem::path& path) {
  const std::string& text = value_of(metadata, key, path);
  NumberReader reader(text);
  double number = 0;
  reader.read(number);
  if (!reader.ended('\0')) refuse(path, key, fmt::format("is '{}', which is not a number", printable(text)));
  return number;
}

std::vector<EpochResult> read_epochs(const Metadata& metadata, const std::filesystem::path& path) {
  const std::string& text = value_of(metadata, epochs_key, path);
  std::vector<EpochResult> epochs;
  for (NumberReader reader(text); !reader.at_end();) {
    EpochResult& epoch = epochs.emplace_back();
    reader.read(epoch.epoch);
    reader.read(epoch.images);
    for (double* number : {&epoch.seconds, &epoch.loss, &epoch.test_loss, &epoch.test_accuracy, &epoch.learning_rate})
      reader.read(*number);
    if (!reader.ended(';') || epoch.epoch != static_cast<int>(epochs.size()))
      refuse(path, epochs_key, fmt::format("is malformed at epoch {}", epochs.size()));
  }
  return epochs;
}

}  // namespace

void write_state(const TrainingState& state, Metadata& metadata) {
  write_position(state.at, metadata);
  metadata[loss_key] = fmt::format("{}", state.loss_sum);  // the shortest text that reads as the same double
  metadata[seconds_key] = fmt::format("{}", state.seconds);
  std::string& epochs = metadata[epochs_key];
  epochs.clear();
  for (const EpochResult& epoch : state.epochs)
    epochs += fmt::format("{}{} {} {} {} {} {} {}", epochs.empty() ? "" : ";", epoch.epoch, epoch.images, epoch.seconds,
                          epoch.loss, epoch.test_loss, epoch.test_accuracy, epoch.learning_rate);
}

TrainingState read_state(const Metadata& metadata, std::uint64_t batches_per_epoch, const std::filesystem::path& path) {
  TrainingState state;
  state.at = read_position(metadata, path);
  state.loss_sum = read_number(metadata, loss_key, path);
  state.seconds = read_number(metadata, seconds_key, path);
  state.epochs = read_epochs(metadata, path);
  const std::uint64_t epochs_before = state.at.epoch - 1;
  if (state.at.batch >= batches_per_epoch)
    refuse(path, "lenet-flow.batch", fmt::format("is {}, an epoch has {}", state.at.batch, batches_per_epoch));
  if (state.at.step != epochs_before * batches_per_epoch + state.at.batch)
    refuse(path, "lenet-flow.step",
           fmt::format("is {}, but epoch {} and batch {} make {}", state.at.step, state.at.epoch, state.at.batch,
                       epochs_before * batches_per_epoch + state.at.batch));
  if (state.epochs.size() != epochs_before)
    refuse(path, epochs_key, fmt::format("has {} epochs, {} are over", state.epochs.size(), epochs_before));
  return state;
}

}  // namespace lenet_flow

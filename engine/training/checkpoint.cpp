#include "engine/training/checkpoint.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>
#include <charconv>
#include <system_error>
#include <tuple>

#include "engine/graph/diagnostics.h"
#include "engine/training/parameter_file_header.h"

namespace lenet_flow {
namespace {

template <typename Number>
Number whole_number(const Metadata& metadata, const std::string& key, const std::filesystem::path& path) {
  const auto found = metadata.find(key);
  if (found == metadata.end())
    throw InputError(fmt::format("{}: is not a checkpoint of lenet-flow: it has no '{}'", path.string(), key));
  const std::string& text = found->second;
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size())
    throw InputError(fmt::format("{}: '{}' is '{}', which is not a whole number", path.string(), key, printable(text)));
  return number;
}

bool further(const Position& a, const Position& b) {
  return std::tuple(a.epoch, a.batch, a.step) > std::tuple(b.epoch, b.batch, b.step);
}

/// The safetensors files of a folder, by name; hidden ones (half-written) left out.
std::vector<std::filesystem::path> parameter_files(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> files;
  std::error_code error;
  for (std::filesystem::directory_iterator at(folder, error), end; !error && at != end; at.increment(error))
    if (at->path().extension() == ".safetensors" && !at->path().filename().string().starts_with('.'))
      files.push_back(at->path());
  if (error && error != std::errc::no_such_file_or_directory)
    throw InputError(folder.string() + ": cannot be read: " + error.message());
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

void write_position(const Position& position, Metadata& metadata) {
  metadata["lenet-flow.epoch"] = std::to_string(position.epoch);
  metadata["lenet-flow.batch"] = std::to_string(position.batch);
  metadata["lenet-flow.step"] = std::to_string(position.step);
}

Position read_position(const Metadata& metadata, const std::filesystem::path& path) {
  Position position;
  position.epoch = whole_number<std::uint32_t>(metadata, "lenet-flow.epoch", path);
  position.batch = whole_number<std::uint64_t>(metadata, "lenet-flow.batch", path);
  position.step = whole_number<std::uint64_t>(metadata, "lenet-flow.step", path);
  if (position.epoch == 0) throw InputError(path.string() + ": 'lenet-flow.epoch' is 0; epochs count from 1");
  return position;
}

std::optional<std::filesystem::path> newest_checkpoint(const std::filesystem::path& folder,
                                                       std::vector<std::string>& warnings) {
  std::optional<std::filesystem::path> newest;
  Position newest_at;
  for (const std::filesystem::path& path : parameter_files(folder)) {
    try {
      const Position at = read_position(open_parameter_file(path).metadata, path);
      if (newest && !further(at, newest_at)) continue;
      newest = path;
      newest_at = at;
    } catch (const InputError& error) {
      warnings.push_back(std::string(error.what()) + "; passed over");
    }
  }
  return newest;
}

std::string sha256(std::span<const std::byte> bytes) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int length = 0;
  if (EVP_Digest(bytes.data(), bytes.size(), digest, &length, EVP_sha256(), nullptr) != 1)
    throw std::runtime_error("libcrypto cannot compute SHA-256");
  std::string text;
  for (unsigned int i = 0; i < length; ++i) text += fmt::format("{:02x}", digest[i]);
  return text;
}

}  // namespace lenet_flow

#include <fcntl.h>
#include <fmt/format.h>
#include <json/json.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "engine/training/parameter_file_header.h"

namespace lenet_flow {
namespace {

[[noreturn]] void fail(int error, const std::filesystem::path& path) {
  throw std::system_error(error, std::generic_category(), path.string());
}

/// A new file under a temporary name beside its last one. Unlinked again where it does not come to commit().
class TemporaryFile {
 public:
  explicit TemporaryFile(const std::filesystem::path& path)
      : path_(path), temporary_(path.parent_path() / fmt::format(".{}.{}.tmp", path.filename().string(), getpid())) {
    unlink(temporary_.c_str());  // of a process of the same number that was killed here
    descriptor_ = open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (descriptor_ < 0) fail(errno, path_);
  }
  ~TemporaryFile() {
    if (descriptor_ >= 0) close(descriptor_);
    if (!committed_) unlink(temporary_.c_str());
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;

  void write(const void* from, std::size_t count) {
    const char* at = static_cast<const char*>(from);
    while (count > 0) {
      const ssize_t written = ::write(descriptor_, at, count);
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) fail(errno, path_);
      at += written;
      count -= static_cast<std::size_t>(written);
    }
  }

  /// On the disk under its last name, or not at all.
  void commit() {
    if (fsync(descriptor_) != 0) fail(errno, path_);
    const int descriptor = std::exchange(descriptor_, -1);
    if (close(descriptor) != 0) fail(errno, path_);
    if (rename(temporary_.c_str(), path_.c_str()) != 0) fail(errno, path_);
    committed_ = true;
    sync_folder();
  }

 private:
  /// The new name is in the folder, and the folder must reach the disk as well.
  void sync_folder() {
    const std::filesystem::path folder = path_.has_parent_path() ? path_.parent_path() : ".";
    const int descriptor = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0) fail(errno, folder);
    const int error = fsync(descriptor) == 0 ? 0 : errno;
    close(descriptor);
    if (error != 0 && error != EINVAL && error != ENOTSUP) fail(error, folder);  // some file systems cannot
  }

  std::filesystem::path path_, temporary_;
  int descriptor_ = -1;
  bool committed_ = false;
};

std::string header_of(const ParameterFile& file) {
  Json::Value header(Json::objectValue);
  Json::Value& metadata = header["__metadata__"] = Json::Value(Json::objectValue);
  for (const auto& [key, value] : file.metadata) metadata[key] = value;
  std::uint64_t at = 0;
  for (const NamedTensor& tensor : file.tensors) {
    Json::Value& entry = header[tensor.name];
    entry["dtype"] = "F32";
    Json::Value& shape = entry["shape"] = Json::Value(Json::arrayValue);
    for (const std::int64_t extent : tensor.shape) shape.append(Json::Int64{extent});
    Json::Value& offsets = entry["data_offsets"];
    offsets.append(Json::UInt64{at});
    at += tensor.values.size() * sizeof(float);
    offsets.append(Json::UInt64{at});
  }
  Json::StreamWriterBuilder builder;
  builder["indentation"] = "";
  std::string text = Json::writeString(builder, header);
  text.append((8 - text.size() % 8) % 8, ' ');  // so that the data is aligned for those who map the file
  return text;
}

}  // namespace

void write_parameter_file(const std::filesystem::path& path, const ParameterFile& file) {
  const std::string header = header_of(file);
  const std::uint64_t length = header.size();
  if (length > longest_header) fail(EFBIG, path);
  TemporaryFile temporary(path);
  temporary.write(&length, sizeof(length));
  temporary.write(header.data(), header.size());
  for (const NamedTensor& tensor : file.tensors)
    temporary.write(tensor.values.data(), tensor.values.size() * sizeof(float));
  temporary.commit();
}

}  // namespace lenet_flow

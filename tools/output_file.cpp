#include "tools/output_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "engine/graph/diagnostics.h"

namespace lenet_flow {
namespace {

namespace fs = std::filesystem;

/// An open file descriptor.
class Descriptor {
 public:
  Descriptor(const fs::path& path, int flags) : path_(path), fd_(::open(path.c_str(), flags | O_CLOEXEC, 0666)) {
    if (fd_ < 0) fail();
  }
  ~Descriptor() { ::close(fd_); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  void write(std::string_view content) const {
    while (!content.empty()) {
      const ssize_t written = ::write(fd_, content.data(), content.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) fail();
      content.remove_prefix(static_cast<std::size_t>(written));
    }
  }
  void sync() const {
    if (::fsync(fd_) != 0) fail();
  }

 private:
  [[noreturn]] void fail() const { throw std::system_error(errno, std::generic_category(), path_.string()); }

  fs::path path_;
  int fd_;
};

[[noreturn]] void refuse(const std::string& option, const fs::path& path, const std::string& why) {
  throw InputError(fmt::format("{} {}: {}", option, path.string(), why));
}

/// Tries to make a file in `folder` and takes it away again: permissions alone do not tell (read-only disks).
void try_folder(const std::string& option, const fs::path& path, const fs::path& folder) {
  const fs::path probe = folder / fmt::format(".lenet-flow-{}", ::getpid());
  try {
    const Descriptor descriptor(probe, O_WRONLY | O_CREAT | O_EXCL);
  } catch (const std::system_error& error) {
    refuse(option, path, "cannot be written: " + error.code().message());
  }
  ::unlink(probe.c_str());
}

}  // namespace

OutputFile::OutputFile(std::string option, fs::path path) : option_(std::move(option)), path_(std::move(path)) {
  std::error_code error;
  if (path_.empty()) refuse(option_, path_, "a file name is missing");
  if (fs::is_symlink(path_, error))  // renaming would take the link's place, not its target's
    if (const fs::path target = fs::weakly_canonical(path_, error); !error) path_ = target;
  const fs::file_status status = fs::status(path_, error);
  if (fs::is_directory(status)) refuse(option_, path_, "is a folder");
  special_ = fs::exists(status) && !fs::is_regular_file(status);
  if (special_) {
    if (::access(path_.c_str(), W_OK) != 0) refuse(option_, path_, "cannot be written");
    return;
  }
  const fs::path folder = path_.has_parent_path() ? path_.parent_path() : fs::path(".");
  if (!fs::exists(folder, error)) refuse(option_, path_, fmt::format("there is no folder '{}'", folder.string()));
  try_folder(option_, path_, folder);
}

fs::path OutputFile::temporary() const {
  fs::path name = path_;
  name.replace_filename(fmt::format(".{}.{}", path_.filename().string(), ::getpid()));
  return name;
}

void OutputFile::write(std::string_view content) const {
  if (special_) {
    Descriptor(path_, O_WRONLY).write(content);
    return;
  }
  const fs::path unfinished = temporary();
  try {
    const Descriptor descriptor(unfinished, O_WRONLY | O_CREAT | O_TRUNC);
    descriptor.write(content);
    descriptor.sync();
    fs::rename(unfinished, path_);
  } catch (const std::system_error& error) {
    ::unlink(unfinished.c_str());
    throw std::system_error(error.code(), fmt::format("{} {}", option_, path_.string()));
  }
}

void check_output_folder(const std::string& option, const fs::path& folder) {
  std::error_code error;
  if (folder.empty()) refuse(option, folder, "a folder is missing");
  fs::path at = fs::absolute(folder);
  while (!fs::exists(at, error) && at.has_relative_path()) at = at.parent_path();
  if (!fs::is_directory(at, error)) refuse(option, folder, fmt::format("'{}' is not a folder", at.string()));
  try_folder(option, folder, at);
}

}  // namespace lenet_flow

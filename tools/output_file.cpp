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

constexpr const char* own_files = "/proc/self/fd";  // open(2) gives a file without a name a name by this

[[noreturn]] void refuse(const std::string& option, const fs::path& path, const std::string& why) {
  throw InputError(fmt::format("{} {}: {}", option, path.string(), why));
}

/// Tries to make a file in `folder` and takes it away again: permissions alone do not tell (read-only disks).
void try_folder(const std::string& option, const fs::path& path, const fs::path& folder) {
  const fs::path probe = folder / fmt::format(".lenet-flow-{}", ::getpid());
  const int descriptor = ::open(probe.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (descriptor < 0) refuse(option, path, "cannot be written: " + std::generic_category().message(errno));
  ::close(descriptor);
  ::unlink(probe.c_str());
}

}  // namespace

OutputStream::OutputStream(std::string option, fs::path path, bool special)
    : option_(std::move(option)), path_(std::move(path)), unfinished_(path_), special_(special) {
  if (special_) {
    descriptor_ = ::open(path_.c_str(), O_WRONLY | O_CLOEXEC);
  } else {
    // Without a name where the file system can do that: a process that is killed leaves nothing behind.
    const fs::path folder = path_.has_parent_path() ? path_.parent_path() : fs::path(".");
    if (::access(own_files, X_OK) == 0) descriptor_ = ::open(folder.c_str(), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666);
    unfinished_.replace_filename(fmt::format(".{}.{}", path_.filename().string(), ::getpid()));
    named_ = descriptor_ < 0;
    if (named_) descriptor_ = ::open(unfinished_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  }
  check(descriptor_ >= 0);
}

OutputStream::~OutputStream() {
  if (descriptor_ >= 0) ::close(descriptor_);
  if (named_ && !finished_) ::unlink(unfinished_.c_str());
}

void OutputStream::check(bool done) const {
  if (!done) throw std::system_error(errno, std::generic_category(), fmt::format("{} {}", option_, path_.string()));
}

void OutputStream::write(std::string_view content) {
  while (!content.empty()) {
    const ssize_t written = ::write(descriptor_, content.data(), content.size());
    if (written < 0 && errno == EINTR) continue;
    check(written >= 0);
    content.remove_prefix(static_cast<std::size_t>(written));
  }
}

void OutputStream::finish() {
  if (!special_) {
    check(::fsync(descriptor_) == 0);
    if (!named_) {
      const std::string nameless = fmt::format("{}/{}", own_files, descriptor_);
      ::unlink(unfinished_.c_str());  // of a process that had this one's number and was killed
      check(::linkat(AT_FDCWD, nameless.c_str(), AT_FDCWD, unfinished_.c_str(), AT_SYMLINK_FOLLOW) == 0);
      named_ = true;
    }
    check(::rename(unfinished_.c_str(), path_.c_str()) == 0);
  }
  finished_ = true;
}

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

void OutputFile::write(std::string_view content) const {
  const auto stream = open();
  stream->write(content);
  stream->finish();
}

std::unique_ptr<OutputStream> OutputFile::open() const {
  return std::make_unique<OutputStream>(option_, path_, special_);
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

#include "engine/data/debian_package.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <memory>
#include <thread>
#include <vector>

#include "engine/graph/diagnostics.h"

namespace lenet_flow {
namespace {

namespace fs = std::filesystem;

struct CloseArchive {
  void operator()(archive* reader) const { archive_read_free(reader); }
};
using ArchiveReader = std::unique_ptr<archive, CloseArchive>;

[[noreturn]] void fail(const fs::path& deb, archive* reader) {
  const char* text = archive_error_string(reader);
  throw InputError(fmt::format("{}: damaged package ({})", deb.string(), text != nullptr ? text : "no more is known"));
}

bool next_entry(const fs::path& deb, archive* reader, archive_entry*& entry) {
  const int status = archive_read_next_header(reader, &entry);
  if (status == ARCHIVE_EOF) return false;
  if (status != ARCHIVE_OK && status != ARCHIVE_WARN) fail(deb, reader);
  return true;
}

/// Feeds one member of the outer archive to the reader of the inner one, piece by piece.
struct Member {
  archive* outer;
  std::vector<char> piece = std::vector<char>(1 << 18);

  static la_ssize_t read(archive* inner, void* user, const void** bytes) {
    auto& member = *static_cast<Member*>(user);
    *bytes = member.piece.data();
    const la_ssize_t count = archive_read_data(member.outer, member.piece.data(), member.piece.size());
    if (count < 0) archive_set_error(inner, EIO, "%s", archive_error_string(member.outer));
    return count < 0 ? -1 : count;
  }
};

Bytes read_entry(const fs::path& deb, archive* reader) {
  constexpr std::size_t most = std::size_t{64} << 20;
  Bytes bytes, piece(1 << 16);
  while (true) {
    const la_ssize_t count = archive_read_data(reader, piece.data(), piece.size());
    if (count < 0) fail(deb, reader);
    if (count == 0) return bytes;
    bytes.insert(bytes.end(), piece.begin(), piece.begin() + count);
    if (bytes.size() > most) throw InputError(fmt::format("{}: a file of more than {} bytes", deb.string(), most));
  }
}

/// Starts a program found in PATH, its output in `log`, its working folder `folder`. Returns its number, or 0.
pid_t start(const std::vector<std::string>& command, const fs::path& folder, const fs::path& log) {
  std::vector<char*> arguments;
  for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, log.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO);
  posix_spawn_file_actions_addchdir_np(&actions, folder.c_str());
  pid_t child = 0;
  const int error = posix_spawnp(&child, arguments[0], &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  return error == 0 ? child : 0;
}

/// The package in `folder`, also where it is still being written.
fs::path find_package(const fs::path& folder, const std::string& package) {
  for (const auto& entry : fs::directory_iterator(folder))
    if (entry.path().filename().string().starts_with(package + "_")) return entry.path();
  return {};
}

/// apt-get's own words: its lines that begin with "E:" (errors).
std::string errors_in(const fs::path& log) {
  std::ifstream file(log);
  std::string text;
  for (std::string line; std::getline(file, line);)
    if (line.starts_with("E: ")) text += line.substr(3) + " ";
  return text;
}

}  // namespace

fs::path download_debian_package(const std::string& package, const fs::path& folder,
                                 const std::function<void(std::uint64_t)>& progress) {
  const fs::path log = fs::absolute(folder) / "apt-get.log";
  const pid_t child = start({"apt-get", "-q", "-o", "Acquire::Retries=2", "-o", "Acquire::http::Timeout=20", "-o",
                             "Acquire::https::Timeout=20", "-o", "APT::Sandbox::User=root", "download", package},
                            folder, log);
  if (child == 0)
    throw MissingError(
        fmt::format("apt-get is not here to download the Debian package {}; fetch its .deb elsewhere "
                    "(packages.debian.org/{}) and type: lenet-flow data get digits --from FILE.deb",
                    package, package));
  int status = 0;
  while (waitpid(child, &status, WNOHANG) == 0) {
    std::error_code error;
    const fs::path partial = find_package(folder, package);
    if (const std::uintmax_t size = fs::file_size(partial, error); progress && !error) progress(size);
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  const std::string errors = errors_in(log);
  std::error_code error;
  fs::remove(log, error);
  const fs::path deb = find_package(folder, package);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0 && !deb.empty()) return deb;
  throw MissingError(
      fmt::format("apt-get cannot download the package {}. {}Type, as root: apt-get update; and then "
                  "again: lenet-flow data get digits (or, with a .deb from elsewhere: --from FILE.deb)",
                  package, errors));
}

Bytes read_from_debian_package(const fs::path& deb, const std::string& ending) {
  const ArchiveReader outer(archive_read_new());
  archive_read_support_format_ar(outer.get());
  constexpr std::size_t block = 1 << 18;
  if (archive_read_open_filename(outer.get(), deb.c_str(), block) != ARCHIVE_OK) fail(deb, outer.get());
  archive_entry* entry = nullptr;
  while (next_entry(deb, outer.get(), entry)) {
    const char* member_name = archive_entry_pathname(entry);
    if (member_name == nullptr || !std::string(member_name).starts_with("data.tar")) continue;
    Member member{outer.get()};
    const ArchiveReader inner(archive_read_new());
    archive_read_support_format_tar(inner.get());
    archive_read_support_filter_gzip(inner.get());
    archive_read_support_filter_xz(inner.get());
    archive_read_support_filter_zstd(inner.get());
    if (archive_read_open(inner.get(), &member, nullptr, &Member::read, nullptr) != ARCHIVE_OK) fail(deb, inner.get());
    while (next_entry(deb, inner.get(), entry)) {
      const char* name = archive_entry_pathname(entry);
      if (name == nullptr || archive_entry_filetype(entry) != AE_IFREG) continue;
      const std::string path = name;
      if (path.ends_with(ending)) return read_entry(deb, inner.get());
      if (path.ends_with(ending + ".gz"))
        return inflate_bytes(read_entry(deb, inner.get()), std::size_t{64} << 20, InflateEnd::whole, deb.string());
    }
  }
  throw InputError(fmt::format("{}: no {} in it", deb.string(), ending));
}

}  // namespace lenet_flow

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "engine/data/debian_package.h"
#include "engine/data/digits_sheet.h"
#include "engine/data/download.h"
#include "engine/data/known_sets.h"
#include "engine/data/open_set.h"
#include "engine/graph/diagnostics.h"

namespace lenet_flow {
namespace {

namespace fs = std::filesystem;

/// The folder beside the set's own in which it is put together: NAME.part. What broke off stays there, to go on with.
/// One process at a time.
class Staging {
 public:
  explicit Staging(fs::path set_folder) : final_(std::move(set_folder)), folder_(final_) {
    folder_ += ".part";
    std::error_code error;
    fs::create_directories(folder_, error);
    if (error) throw std::runtime_error(fmt::format("{}: cannot be made: {}", folder_.string(), error.message()));
    lock_ = open(folder_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (lock_ < 0 || flock(lock_, LOCK_EX | LOCK_NB) != 0) {
      if (lock_ >= 0) close(lock_);
      throw std::runtime_error(fmt::format("{}: another lenet-flow is fetching into it", folder_.string()));
    }
  }
  /// Leaves nothing behind where nothing had come.
  ~Staging() {
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(folder_, error))
      if (entry.is_regular_file(error) && entry.file_size(error) == 0) fs::remove(entry.path(), error);
    fs::remove(folder_, error);
    close(lock_);
  }
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;

  const fs::path& folder() const { return folder_; }

  /// All is there and right: gives the files their place. A set that was there is replaced file by file.
  fs::path finish(const std::vector<fs::path>& files) {
    fs::create_directories(final_);
    for (const fs::path& file : files) fs::rename(file, final_ / file.filename());
    fs::remove_all(folder_);
    return final_;
  }

 private:
  fs::path final_, folder_;
  int lock_ = -1;
};

/// What fetching one set needs throughout.
struct Fetch {
  const KnownSource& source;
  std::string from;
  const FetchProgress& progress;
  Staging& staging;

  bool from_address() const { return from.find("://") != std::string::npos; }
  std::function<void(std::uint64_t, std::uint64_t)> progress_of(const std::string& file) const {
    return [this, file](std::uint64_t done, std::uint64_t total) {
      if (progress) progress(file, done, total);
    };
  }
};

std::string without_end_slash(std::string address) {
  while (address.ends_with('/')) address.pop_back();
  return address;
}

/// Copies a file with progress; the copy has its name when it is whole.
fs::path copy_file(const Fetch& fetch, const fs::path& from) {
  const fs::path to = fetch.staging.folder() / from.filename();
  const fs::path part = to.string() + ".part";
  std::ifstream input(from, std::ios::binary);
  std::ofstream output(part, std::ios::binary);
  std::error_code error;
  const std::uintmax_t total = fs::file_size(from, error);
  const auto report = fetch.progress_of(from.filename().string());
  std::vector<char> piece(1 << 20);
  std::uint64_t done = 0;
  while (input.read(piece.data(), static_cast<std::streamsize>(piece.size())) || input.gcount() > 0) {
    output.write(piece.data(), input.gcount());
    done += static_cast<std::uint64_t>(input.gcount());
    report(done, total);
  }
  output.close();
  if (!output) throw std::runtime_error(fmt::format("{}: cannot be written: is the disk full?", part.string()));
  if (done != total) throw InputError(fmt::format("{}: cannot be read to its end", from.string()));
  fs::rename(part, to);
  return to;
}

std::string checksum_text(const KnownFile& file) {
  return file.sha256.empty() ? "content " + file.content_sha256 : file.sha256;
}

/// Finds a file in the folder (or the file) that --from names and copies it, checked.
fs::path take_local_file(const Fetch& fetch, const KnownFile& file) {
  const fs::path from = fetch.from;
  std::error_code error;
  std::optional<fs::path> path;
  if (fs::is_regular_file(from, error) && fetch.source.files.size() == 1) path = from;
  for (const fs::path& folder : {from, from / fetch.source.name})
    if (!path) path = find_known_file(file, folder);
  if (!path)
    throw MissingError(
        fmt::format("{} is not in {} (nor in {})", file.name, from.string(), (from / fetch.source.name).string()));
  if (check_known_file(file, *path) != FileCheck::official)
    throw InputError(fmt::format("{}: wrong checksum: not the official {} (SHA-256 {})", path->string(), file.name,
                                 checksum_text(file)));
  return copy_file(fetch, *path);
}

enum class Outcome { right, wrong_checksum };

/// One address: goes on with what is there; where the whole is wrong and a part was there before, once more from the
/// start. Throws DownloadError.
Outcome download_checked(const Fetch& fetch, const KnownFile& file, const std::string& address, const fs::path& part) {
  const DownloadOptions options{.https_only = !fetch.from_address()};
  for (const bool last_try : {false, true}) {
    std::error_code none;
    const bool resumed = fs::exists(part, none);
    download(address, part, options, fetch.progress_of(file.name));
    if (check_known_file(file, part) == FileCheck::official) return Outcome::right;
    fs::remove(part, none);
    if (!resumed || last_try) break;
  }
  return Outcome::wrong_checksum;
}

/// Fetches a file from the first address that has it right.
fs::path take_remote_file(const Fetch& fetch, const KnownFile& file) {
  const fs::path place = fetch.staging.folder() / file.name;
  const fs::path part = place.string() + ".part";
  if (check_known_file(file, place) == FileCheck::official) return place;  // of a fetch that broke off later
  std::vector<std::string> addresses = fetch.source.addresses;
  if (fetch.from_address()) {
    const std::string base = without_end_slash(fetch.from);
    addresses = {base, base + "/" + fetch.source.name};
  }
  std::string reasons;
  bool wrong = false;
  for (const std::string& folder : addresses) {
    const std::string address = folder + "/" + file.name;
    std::string reason = "wrong checksum: expected SHA-256 " + checksum_text(file);
    try {
      if (download_checked(fetch, file, address, part) == Outcome::right) {
        fs::rename(part, place);
        return place;
      }
      wrong = true;
    } catch (const DownloadError& error) {
      reason = error.what();
    }
    reasons += (reasons.empty() ? "" : "; ") + address + ": " + reason;
  }
  if (wrong) throw InputError(reasons);
  throw MissingError(
      fmt::format("{} cannot be had ({}). Where another machine or a disk has it, type: lenet-flow data "
                  "get {} --from DIR-or-URL",
                  fetch.source.name, reasons, fetch.source.name));
}

/// The .deb or digits.png that `from` names or its folder holds; empty where there is none.
fs::path find_digits_source(const fs::path& from) {
  std::error_code error;
  if (fs::is_regular_file(from, error)) return from;
  if (fs::is_regular_file(from / "digits.png", error)) return from / "digits.png";
  if (fs::is_directory(from, error))
    for (const auto& entry : fs::directory_iterator(from)) {
      const std::string name = entry.path().filename().string();
      if (name.starts_with("opencv-doc_") && name.ends_with(".deb")) return entry.path();
    }
  return {};
}

/// The package, or the picture itself, as a file on this machine.
fs::path digits_source(const Fetch& fetch) {
  if (fetch.from_address()) {
    const fs::path place = fetch.staging.folder() / "digits-source";
    try {
      download(fetch.from, place, {.https_only = false}, fetch.progress_of("digits"));
    } catch (const DownloadError& error) {
      throw MissingError(fmt::format("{}: {}", fetch.from, error.what()));
    }
    return place;
  }
  if (fetch.from.empty())
    return download_debian_package("opencv-doc", fetch.staging.folder(),
                                   [&](std::uint64_t done) { fetch.progress_of("opencv-doc")(done, 0); });
  const fs::path found = find_digits_source(fetch.from);
  if (found.empty())
    throw MissingError(fmt::format("{}: expected Debian's opencv-doc_*.deb, or digits.png from it", fetch.from));
  return found;
}

std::vector<fs::path> take_digits(const Fetch& fetch) {
  const fs::path source = digits_source(fetch);
  const Bytes head = read_file(source, 8);
  const std::string_view deb_magic = "!<arch>\n";
  const bool is_deb = std::equal(head.begin(), head.end(), deb_magic.begin(), deb_magic.end());
  const Bytes png = is_deb ? read_from_debian_package(source, "/examples/data/digits.png") : read_file(source);
  write_digits(png, source.string(), fetch.staging.folder());
  std::vector<fs::path> files;
  for (const KnownFile& file : fetch.source.files) files.push_back(fetch.staging.folder() / file.name);
  return files;
}

/// Digits that were made before, in the folder of another machine's cache.
bool has_made_digits(const Fetch& fetch) {
  if (fetch.from.empty() || fetch.from_address()) return false;
  const fs::path from = fetch.from;
  return find_known_file(fetch.source.files[0], from) ||
         find_known_file(fetch.source.files[0], from / fetch.source.name);
}

const KnownSource& source_to_fetch(const std::string& name) {
  const KnownSource* source = find_known_source(name);
  std::vector<std::string> names;
  for (const KnownSource& known : known_sources())
    if (!known.files.empty()) names.push_back(known.name);
  if (source == nullptr) throw InputError("unknown data set " + with_suggestion(name, names));
  if (source->files.empty())
    throw InputError(
        fmt::format("data set '{}' has no official address: put it into a folder DIR/{} and type --data DIR; {}", name,
                    name, expected_layout));
  return *source;
}

bool all_official(const KnownSource& source, const fs::path& folder) {
  return std::all_of(source.files.begin(), source.files.end(), [&](const KnownFile& file) {
    const std::optional<fs::path> path = find_known_file(file, folder);
    return path && check_known_file(file, *path) == FileCheck::official;
  });
}

}  // namespace

fs::path fetch_data_set(const std::string& name, const std::string& from, const FetchProgress& progress) {
  const KnownSource& source = source_to_fetch(name);
  const fs::path cache = data_cache_folder();
  if (cache.empty()) throw MissingError("no home folder to put data into; set XDG_CACHE_HOME to a folder");
  if (all_official(source, cache / name)) return cache / name;

  Staging staging(cache / name);
  const Fetch fetch{source, from, progress, staging};
  std::vector<fs::path> files;
  if (name == "digits" && !has_made_digits(fetch))
    files = take_digits(fetch);
  else
    for (const KnownFile& file : source.files)
      files.push_back(from.empty() || fetch.from_address() ? take_remote_file(fetch, file)
                                                           : take_local_file(fetch, file));
  return staging.finish(files);
}

}  // namespace lenet_flow

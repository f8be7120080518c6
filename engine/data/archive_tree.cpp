#include <archive.h>
#include <archive_entry.h>
#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <numeric>

#include "engine/data/file_tree.h"
#include "engine/graph/diagnostics.h"

namespace lenet_flow {
namespace {

namespace fs = std::filesystem;

struct CloseArchive {
  void operator()(archive* reader) const { archive_read_free(reader); }
};
using ArchiveReader = std::unique_ptr<archive, CloseArchive>;

/// "./a//b/../c" as it is meant inside an archive; empty for what points out of it, or is hidden.
std::string inner_path(const char* name) {
  if (name == nullptr) return {};
  std::string path;
  std::string_view rest = name;
  while (!rest.empty()) {
    const std::size_t slash = rest.find('/');
    const std::string_view part = rest.substr(0, slash);
    rest = slash == std::string_view::npos ? std::string_view{} : rest.substr(slash + 1);
    if (part.empty() || part == ".") continue;
    if (part.starts_with('.')) return {};
    if (!path.empty()) path += '/';
    path += part;
  }
  return path;
}

class ArchiveTree final : public FileTree {
 public:
  ArchiveTree(const fs::path& archive, std::uint64_t limit) : FileTree(archive.string()), limit_(limit) {
    require_end_mark(archive);
    const ArchiveReader reader(archive_read_new());
    if (!reader) throw std::bad_alloc();
    // Only filters that need no program of their own.
    archive_read_support_filter_gzip(reader.get());
    archive_read_support_filter_bzip2(reader.get());
    archive_read_support_filter_xz(reader.get());
    archive_read_support_filter_lzma(reader.get());
    archive_read_support_filter_zstd(reader.get());
    archive_read_support_format_tar(reader.get());
    constexpr std::size_t block = 1 << 18;
    if (archive_read_open_filename(reader.get(), archive.c_str(), block) != ARCHIVE_OK) fail(reader.get());
    read_members(reader.get());
    sort_members();
  }

  std::string where(std::size_t file) const override { return location_ + ": " + files_[file].path; }

  Content read(std::size_t file, std::uint64_t limit) const override {
    const std::span<const std::uint8_t> all = contents_[file];
    return Content(all.first(static_cast<std::size_t>(std::min<std::uint64_t>(all.size(), limit))));
  }

 private:
  [[noreturn]] void fail(archive* reader) const {
    const char* text = archive_error_string(reader);
    throw InputError(fmt::format("{}: damaged archive ({})", location_, text != nullptr ? text : "no more is known"));
  }

  /// libarchive takes an uncompressed tar that was cut between two members for a whole one; its end mark (two blocks of
  /// zeros) tells. Compressed ones notice by themselves.
  void require_end_mark(const fs::path& archive) const {
    constexpr std::uint64_t block = 512;
    if (archive.extension() != ".tar") return;
    const Bytes head = read_file(archive, block);
    constexpr std::size_t magic_offset = 257;
    const bool plain =
        head.size() == block && std::equal(head.begin() + magic_offset, head.begin() + magic_offset + 5, "ustar");
    if (!plain) return;
    if (!ends_in_zeros(archive, block))
      throw InputError(fmt::format("{}: truncated archive (its end mark is missing)", location_));
  }

  static bool ends_in_zeros(const fs::path& archive, std::size_t bytes) {
    std::ifstream file(archive, std::ios::binary);
    file.seekg(-static_cast<std::streamoff>(bytes), std::ios::end);
    std::string last(bytes, '1');
    file.read(last.data(), static_cast<std::streamsize>(bytes));
    return file.good() && last.find_first_not_of('\0') == std::string::npos;
  }

  void read_members(archive* reader) {
    std::uint64_t total = 0;
    archive_entry* entry = nullptr;
    while (true) {
      const int status = archive_read_next_header(reader, &entry);
      if (status == ARCHIVE_EOF) break;
      if (status != ARCHIVE_OK && status != ARCHIVE_WARN) fail(reader);
      if (archive_entry_filetype(entry) != AE_IFREG || archive_entry_hardlink(entry) != nullptr) continue;
      // Read even where it is passed over: its bytes count for the limit.
      Bytes content = read_content(reader, total);
      std::string path = inner_path(archive_entry_pathname(entry));
      if (path.empty()) continue;
      files_.push_back({std::move(path), content.size()});
      contents_.push_back(std::move(content));
      if (files_.size() > most_files) throw InputError(fmt::format("{}: more than {} files", location_, most_files));
    }
  }

  /// What the member really holds, not what its header claims.
  Bytes read_content(archive* reader, std::uint64_t& total) const {
    Bytes content;
    while (true) {
      const void* data = nullptr;
      std::size_t size = 0;
      la_int64_t offset = 0;
      const int status = archive_read_data_block(reader, &data, &size, &offset);
      if (status == ARCHIVE_EOF) break;
      if (status != ARCHIVE_OK && status != ARCHIVE_WARN) fail(reader);
      const std::uint64_t end = static_cast<std::uint64_t>(offset) + size;  // a sparse file's holes are zeros
      if (end > limit_ || total + end > limit_)
        throw InputError(fmt::format("{}: holds more than {} MiB; unpack it into a folder", location_, limit_ >> 20));
      content.resize(static_cast<std::size_t>(offset), 0);
      const auto* bytes = static_cast<const std::uint8_t*>(data);
      content.insert(content.end(), bytes, bytes + size);
    }
    total += content.size();
    content.shrink_to_fit();
    return content;
  }

  void sort_members() {
    std::vector<std::size_t> order(files_.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return files_[a].path < files_[b].path; });
    std::vector<File> files;
    std::vector<Bytes> contents;
    for (const std::size_t i : order) {
      files.push_back(std::move(files_[i]));
      contents.push_back(std::move(contents_[i]));
    }
    files_ = std::move(files);
    contents_ = std::move(contents);
  }

  std::uint64_t limit_;
  std::vector<Bytes> contents_;
};

}  // namespace

std::unique_ptr<FileTree> open_archive(const fs::path& archive, std::uint64_t limit) {
  return std::make_unique<ArchiveTree>(archive, limit);
}

bool is_archive_name(const std::string& path) {
  static const char* const endings[] = {".tar",     ".tar.gz", ".tgz",      ".tar.xz",  ".txz",
                                        ".tar.bz2", ".tbz2",   ".tar.lzma", ".tar.zst", ".tzst"};
  return std::any_of(std::begin(endings), std::end(endings), [&](const char* end) { return path.ends_with(end); });
}

}  // namespace lenet_flow

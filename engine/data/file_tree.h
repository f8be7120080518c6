#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/data/bytes.h"

namespace lenet_flow {

/// The files of a data set, wherever they lie: in a folder or in a tar archive. Nothing is ever unpacked to disk.
/// Reading is safe from several threads at once.
class FileTree {
 public:
  struct File {
    std::string path;  ///< below the folder or inside the archive: "train/cats/0001.jpg"
    std::uint64_t bytes = 0;
  };
  /// The bytes of a file: its own, or a view into an archive that the tree holds (valid as long as the tree).
  class Content {
   public:
    explicit Content(Bytes own) : own_(std::move(own)), view_(own_) {}
    explicit Content(std::span<const std::uint8_t> view) : view_(view) {}
    Content(Content&&) = default;
    std::span<const std::uint8_t> bytes() const { return view_; }

   private:
    Bytes own_;
    std::span<const std::uint8_t> view_;
  };

  virtual ~FileTree() = default;
  /// The folder or archive.
  const std::string& location() const { return location_; }
  /// Sorted by path, numbers inside names by their characters. Hidden files and unfinished downloads (.part) are left
  /// out.
  const std::vector<File>& files() const { return files_; }
  /// "DIR/train/cats/0001.jpg", or "ARCHIVE: train/cats/0001.jpg": for messages.
  virtual std::string where(std::size_t file) const = 0;
  /// The first `limit` bytes of a file. Throws InputError where they cannot be read.
  virtual Content read(std::size_t file, std::uint64_t limit = UINT64_MAX) const = 0;

 protected:
  explicit FileTree(std::string location) : location_(std::move(location)) {}
  std::string location_;
  std::vector<File> files_;
};

/// Limits of a data set, so that a hostile or mistaken one ends in a message.
inline constexpr std::size_t most_files = 4'000'000;
inline constexpr int deepest_folder = 8;

/// The files below a folder, at most `deepest_folder` levels down. Throws InputError for a folder that cannot be read.
std::unique_ptr<FileTree> open_folder(const std::filesystem::path& folder);

/// The files of a tar archive, plain or compressed by gzip, bzip2, xz, lzma or zstd, all held in memory (unpacked from
/// the compression, images as they are). Names inside the archive are only names: a link is passed over, and so is what
/// points out of the archive. Throws InputError for a damaged or truncated archive, and for one of more than
/// `limit` bytes.
std::unique_ptr<FileTree> open_archive(const std::filesystem::path& archive,
                                       std::uint64_t limit = most_content_bytes());

/// True for a name that ends as a tar archive's does: .tar, .tar.gz, .tgz, .tar.xz, ...
bool is_archive_name(const std::string& path);

}  // namespace lenet_flow

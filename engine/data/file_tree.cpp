#include "engine/data/file_tree.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/graph/diagnostics.h"

namespace lenet_flow {
namespace {

namespace fs = std::filesystem;

class FolderTree final : public FileTree {
 public:
  explicit FolderTree(const fs::path& folder) : FileTree(folder.string()), folder_(folder) {
    try {
      constexpr auto options = fs::directory_options::follow_directory_symlink;
      for (auto entry = fs::recursive_directory_iterator(folder, options); entry != fs::end(entry); ++entry) {
        const std::string name = entry->path().filename().string();
        if (entry->is_directory()) {
          // The depth also ends a loop of links.
          if (name.starts_with('.') || entry.depth() + 1 >= deepest_folder) entry.disable_recursion_pending();
          continue;
        }
        if (name.starts_with('.') || name.ends_with(".part") || !entry->is_regular_file()) continue;
        files_.push_back({entry->path().lexically_relative(folder).generic_string(), entry->file_size()});
        if (files_.size() > most_files) throw InputError(fmt::format("{}: more than {} files", location_, most_files));
      }
    } catch (const fs::filesystem_error& error) {
      throw InputError(fmt::format("{}: {}", location_, error.code().message()));
    }
    std::sort(files_.begin(), files_.end(), [](const File& a, const File& b) { return a.path < b.path; });
  }

  std::string where(std::size_t file) const override { return (folder_ / files_[file].path).string(); }

  Content read(std::size_t file, std::uint64_t limit) const override {
    return Content(read_file(folder_ / files_[file].path, limit));
  }

 private:
  fs::path folder_;
};

}  // namespace

std::unique_ptr<FileTree> open_folder(const fs::path& folder) { return std::make_unique<FolderTree>(folder); }

}  // namespace lenet_flow

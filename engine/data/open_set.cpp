#include "engine/data/open_set.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/data/readers.h"
#include "engine/graph/diagnostics.h"

namespace lenet_flow {
namespace {

namespace fs = std::filesystem;

/// How many characters all paths share as folders, a split's own folder not counted: "cifar-10-batches-bin/" is 21.
std::size_t shared_folders(const std::vector<FileTree::File>& files) {
  std::size_t shared = 0;
  while (!files.empty()) {
    const std::string& first = files[0].path;
    const std::size_t slash = first.find('/', shared);
    if (slash == std::string::npos || split_of(first.substr(shared, slash - shared)) != Split::neither) break;
    const std::string_view prefix(first.data(), slash + 1);
    if (!std::all_of(files.begin(), files.end(), [&](const auto& file) { return file.path.starts_with(prefix); }))
      break;
    shared = slash + 1;
  }
  return shared;
}

std::optional<DataSet> read_any_format(std::shared_ptr<const FileTree> tree, std::vector<std::string> class_names) {
  ReaderInput input{std::move(tree), {}, std::move(class_names)};
  const std::size_t shared = shared_folders(input.tree->files());
  for (const FileTree::File& file : input.tree->files()) input.paths.push_back(file.path.substr(shared));
  for (ReadFormat* const read : {read_idx_files, read_cifar_binary, read_image_folders, read_csv_files})
    if (std::optional<DataSet> set = read(input)) {
      set->location = input.tree->location();
      return set;
    }
  return std::nullopt;
}

/// The archive to look into, or an empty path.
fs::path choose_archive(const FileTree& folder, const std::string& preferred) {
  std::vector<std::string> archives;
  for (const FileTree::File& file : folder.files()) {
    if (file.path == preferred) return fs::path(folder.location()) / file.path;
    if (is_archive_name(lower(file.path))) archives.push_back(file.path);
  }
  if (archives.size() > 1)
    throw InputError(
        fmt::format("{}: several archives ({} and {}); keep one", folder.location(), archives[0], archives[1]));
  return archives.empty() ? fs::path{} : fs::path(folder.location()) / archives[0];
}

}  // namespace

const char* const expected_layout =
    "expected train/CLASS/IMAGE and test/CLASS/IMAGE (JPEG or PNG), IDX files (train-images-idx3-ubyte, "
    "train-labels-idx1-ubyte, t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte; also .gz), CIFAR-10's data_batch_N.bin "
    "and "
    "test_batch.bin, train.csv and test.csv (label, pixels), or a tar archive of one of these";

bool is_empty_set_folder(const fs::path& folder) {
  std::error_code error;
  return !fs::is_directory(folder, error) || open_folder(folder)->files().empty();
}

DataSet open_set_folder(const fs::path& folder, const std::string& preferred_archive,
                        const std::vector<std::string>& class_names) {
  const std::shared_ptr<const FileTree> tree = open_folder(folder);
  std::optional<DataSet> set = read_any_format(tree, class_names);
  if (!set) {
    const fs::path archive = choose_archive(*tree, preferred_archive);
    if (!archive.empty()) set = read_any_format(open_archive(archive), class_names);
    if (!set)
      throw InputError(fmt::format("{}: no data set in it: {}", archive.empty() ? folder.string() : archive.string(),
                                   expected_layout));
  }
  return std::move(*set);
}

Split split_of(std::string_view name) {
  const std::string word = lower(name);
  if (word == "train" || word == "training") return Split::train;
  if (word == "test" || word == "testing" || word == "t10k") return Split::test;
  return Split::neither;
}

std::optional<std::size_t> find_file(const ReaderInput& input, std::string_view path) {
  for (std::size_t i = 0; i < input.paths.size(); ++i)
    if (lower(input.paths[i]) == path) return i;
  return std::nullopt;
}

std::vector<std::string> numbered_classes(std::int64_t count) {
  std::vector<std::string> names;
  for (std::int64_t i = 0; i < count; ++i) names.push_back(std::to_string(i));
  return names;
}

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return result;
}

}  // namespace lenet_flow

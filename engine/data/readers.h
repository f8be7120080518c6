#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/data/dataset.h"
#include "engine/data/file_tree.h"

namespace lenet_flow {

/// What a reader gets: the files, and what is known of the set beforehand.
struct ReaderInput {
  std::shared_ptr<const FileTree> tree;
  /// Paths as FileTree has them, without the folders that all files share ("cifar-10-batches-bin/").
  std::vector<std::string> paths;
  /// Of a known set; empty: the reader finds them.
  std::vector<std::string> class_names;
};

/// One format. Returns nothing where the files are not of this format; throws InputError where they are and something
/// is wrong with them, naming the file.
using ReadFormat = std::optional<DataSet>(const ReaderInput&);

/// (train|t10k|test)-images-idx3-ubyte and -labels-idx1-ubyte, plain or .gz (LeCun's format of MNIST).
ReadFormat read_idx_files;
/// data_batch_N.bin and test_batch.bin (Krizhevsky's binary version of CIFAR-10), class names in batches.meta.txt.
ReadFormat read_cifar_binary;
/// train/CLASS/IMAGE and test/CLASS/IMAGE, JPEG or PNG.
ReadFormat read_image_folders;
/// train.csv and test.csv, plain or .gz: a label and the pixels, row by row.
ReadFormat read_csv_files;

/// Which split a name of a folder or file means.
enum class Split { train, test, neither };
Split split_of(std::string_view name);

/// The file's number in the tree with that path (case ignored), or nothing.
std::optional<std::size_t> find_file(const ReaderInput& input, std::string_view path);

/// `count` names "0", "1", ...
std::vector<std::string> numbered_classes(std::int64_t count);

/// Lower case, ASCII.
std::string lower(std::string_view text);

/// More classes, pixels a side or pixels an image than these are taken for damage.
inline constexpr std::int64_t most_classes = 65536;
inline constexpr std::int64_t longest_side = 16384;
inline constexpr std::int64_t most_pixels = std::int64_t{1} << 26;

}  // namespace lenet_flow

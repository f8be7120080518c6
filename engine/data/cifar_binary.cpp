#include <fmt/format.h>

#include <algorithm>
#include <sstream>

#include "engine/data/memory_dataset.h"
#include "engine/data/readers.h"
#include "engine/graph/diagnostics.h"

namespace lenet_flow {
namespace {

// A record: the label, then 1,024 red, 1,024 green and 1,024 blue bytes in row order.
// www.cs.toronto.edu/~kriz/cifar.html, "Binary version"
constexpr std::int64_t classes = 10;
const Shape image_shape{3, 32, 32};
const std::size_t record_bytes = 1 + 3 * 32 * 32;

/// Adds a file's records to `pixels` and `labels`.
void append_records(const FileTree& tree, std::size_t file, Bytes& pixels, std::vector<std::int32_t>& labels) {
  const FileTree::Content content = tree.read(file);
  const std::span<const std::uint8_t> bytes = content.bytes();
  if (bytes.empty() || bytes.size() % record_bytes != 0)
    throw InputError(fmt::format("{}: truncated: {} bytes are no whole number of records of {} bytes", tree.where(file),
                                 bytes.size(), record_bytes));
  for (std::size_t begin = 0; begin < bytes.size(); begin += record_bytes) {
    if (bytes[begin] >= classes)
      throw InputError(fmt::format("{}: label {} of image {} is out of range: there are {} classes", tree.where(file),
                                   bytes[begin], begin / record_bytes, classes));
    labels.push_back(bytes[begin]);
    const auto image = bytes.subspan(begin + 1, record_bytes - 1);
    pixels.insert(pixels.end(), image.begin(), image.end());
  }
}

std::vector<std::string> read_class_names(const ReaderInput& input) {
  if (!input.class_names.empty()) return input.class_names;
  const std::optional<std::size_t> file = find_file(input, "batches.meta.txt");
  std::vector<std::string> names;
  if (file) {
    const FileTree::Content content = input.tree->read(*file, 4096);
    std::istringstream text(std::string(content.bytes().begin(), content.bytes().end()));
    for (std::string name; names.size() < classes && text >> name;) names.push_back(name);
  }
  return names.size() == classes ? names : numbered_classes(classes);
}

}  // namespace

std::optional<DataSet> read_cifar_binary(const ReaderInput& input) {
  std::vector<std::size_t> train;
  for (std::size_t i = 0; i < input.paths.size(); ++i) {
    const std::string path = lower(input.paths[i]);
    if (path.starts_with("data_batch_") && path.ends_with(".bin")) train.push_back(i);
  }
  const std::optional<std::size_t> test = find_file(input, "test_batch.bin");
  if (train.empty() && !test) return std::nullopt;
  const FileTree& tree = *input.tree;
  if (train.empty()) throw InputError(fmt::format("{}: data_batch_1.bin is missing", tree.location()));
  if (!test) throw InputError(fmt::format("{}: test_batch.bin is missing", tree.location()));

  DataSet set;
  set.class_names = read_class_names(input);
  const auto make_split = [&](const std::vector<std::size_t>& files) {
    Bytes pixels;
    std::vector<std::int32_t> labels;
    for (const std::size_t file : files) append_records(tree, file, pixels, labels);
    return std::make_unique<MemoryDataset>(image_shape, std::move(pixels), 0, std::move(labels));
  };
  set.train = make_split(train);
  set.test = make_split({*test});
  return set;
}

}  // namespace lenet_flow

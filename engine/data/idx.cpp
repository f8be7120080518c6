#include <fmt/format.h>

#include <algorithm>
#include <regex>

#include "engine/data/memory_dataset.h"
#include "engine/data/readers.h"
#include "engine/graph/diagnostics.h"

namespace lenet_flow {
namespace {

// The format: two zero bytes, the element type (8: unsigned bytes), the number of dimensions, the dimensions as
// big-endian 32-bit numbers, the elements. yann.lecun.com/exdb/mnist
constexpr std::uint32_t images_magic = 0x0803, labels_magic = 0x0801;

std::uint32_t big_endian(std::span<const std::uint8_t> bytes, std::size_t offset) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i) value = value << 8 | bytes[offset + i];
  return value;
}

struct IdxFile {
  Bytes bytes;  ///< header and elements
  std::size_t header = 0;
  std::vector<std::int64_t> dimensions;
};

/// Reads and checks one file; `magic` says how many dimensions it must have.
IdxFile read_idx(const FileTree& tree, std::size_t file, std::uint32_t magic) {
  const std::string where = tree.where(file);
  const FileTree::Content content = tree.read(file);
  const bool packed = is_gzip(content.bytes());
  const std::size_t dimensions = magic & 0xff;
  IdxFile idx;
  idx.header = 4 + 4 * dimensions;

  const Bytes unpacked_head = packed ? inflate_bytes(content.bytes(), idx.header, InflateEnd::head, where) : Bytes{};
  const std::span<const std::uint8_t> head = packed ? std::span<const std::uint8_t>(unpacked_head) : content.bytes();
  if (head.size() < idx.header) throw InputError(fmt::format("{}: truncated: no room for an IDX header", where));
  if (big_endian(head, 0) != magic)
    throw InputError(fmt::format("{}: not an IDX file of {} (it begins with 0x{:08x}, expected 0x{:08x})", where,
                                 magic == images_magic ? "images" : "labels", big_endian(head, 0), magic));
  std::uint64_t elements = 1;
  for (std::size_t i = 0; i < dimensions; ++i) {
    idx.dimensions.push_back(big_endian(head, 4 + 4 * i));
    const auto extent = static_cast<std::uint64_t>(idx.dimensions.back());
    if (extent == 0) throw InputError(fmt::format("{}: holds nothing: a dimension of 0", where));
    if (i > 0 && idx.dimensions.back() > longest_side)
      throw InputError(fmt::format("{}: images of {} pixels a side; at most {}", where, extent, longest_side));
    elements *= extent;  // < 2^32 * 2^28
  }

  const std::uint64_t expected = idx.header + elements;
  if (expected > most_content_bytes())
    throw InputError(
        fmt::format("{}: its header says {} bytes: more than this machine's memory allows", where, expected));
  if (packed)
    idx.bytes = inflate_bytes(content.bytes(), expected, InflateEnd::whole, where);
  else
    idx.bytes.assign(content.bytes().begin(), content.bytes().end());
  if (idx.bytes.size() != expected)
    throw InputError(fmt::format("{}: {}: its header says {} bytes, it has {}", where,
                                 idx.bytes.size() < expected ? "truncated" : "too long", expected, idx.bytes.size()));
  return idx;
}

/// The four files of a set, as numbers in the tree.
struct IdxNames {
  std::optional<std::size_t> images[2], labels[2];  // by Split
};

IdxNames find_idx_files(const ReaderInput& input) {
  static const std::regex pattern(R"(([a-z0-9]+)[-_.](images|labels)[-_.]idx[13](?:[-_.]ubyte)?(\.gz)?)");
  IdxNames names;
  for (std::size_t i = 0; i < input.paths.size(); ++i) {
    std::smatch match;
    const std::string path = lower(input.paths[i]);
    if (path.find("idx") == std::string::npos || !std::regex_match(path, match, pattern)) continue;
    const Split split = split_of(match[1].str());
    if (split == Split::neither) continue;
    auto& place = (match[2] == "images" ? names.images : names.labels)[static_cast<int>(split)];
    // Of a plain and a .gz one the .gz is taken: it is the one with a checksum.
    if (!place || match[3].matched) place = i;
  }
  return names;
}

std::vector<std::int32_t> read_labels(const FileTree& tree, std::size_t file) {
  const IdxFile labels = read_idx(tree, file, labels_magic);
  return {labels.bytes.begin() + static_cast<std::ptrdiff_t>(labels.header), labels.bytes.end()};
}

std::unique_ptr<Dataset> make_split(const FileTree& tree, std::size_t images_file, std::size_t labels_file,
                                    std::vector<std::int32_t> labels, std::int64_t classes) {
  IdxFile images = read_idx(tree, images_file, images_magic);
  if (images.dimensions[0] != static_cast<std::int64_t>(labels.size()))
    throw InputError(fmt::format("{}: {} images, but {} has {} labels", tree.where(images_file), images.dimensions[0],
                                 tree.where(labels_file), labels.size()));
  for (std::size_t i = 0; i < labels.size(); ++i)
    if (labels[i] >= classes)
      throw InputError(fmt::format("{}: label {} of image {} is out of range: there are {} classes",
                                   tree.where(labels_file), labels[i], i, classes));
  const Shape shape{1, images.dimensions[1], images.dimensions[2]};
  return std::make_unique<MemoryDataset>(shape, std::move(images.bytes), images.header, std::move(labels));
}

}  // namespace

std::optional<DataSet> read_idx_files(const ReaderInput& input) {
  const IdxNames names = find_idx_files(input);
  if (!names.images[0] && !names.images[1] && !names.labels[0] && !names.labels[1]) return std::nullopt;
  const FileTree& tree = *input.tree;
  const char* const wanted[] = {"train", "t10k"};
  for (int split = 0; split < 2; ++split)
    for (const bool images : {true, false})
      if (!(images ? names.images : names.labels)[split])
        throw InputError(fmt::format("{}: {}-{}-ubyte (or .gz) is missing", tree.location(), wanted[split],
                                     images ? "images-idx3" : "labels-idx1"));

  std::vector<std::int32_t> labels[2] = {read_labels(tree, *names.labels[0]), read_labels(tree, *names.labels[1])};
  DataSet set;
  set.class_names = input.class_names;
  if (set.class_names.empty())
    set.class_names = numbered_classes(*std::max_element(labels[0].begin(), labels[0].end()) + 1);
  const auto classes = static_cast<std::int64_t>(set.class_names.size());
  set.train = make_split(tree, *names.images[0], *names.labels[0], std::move(labels[0]), classes);
  set.test = make_split(tree, *names.images[1], *names.labels[1], std::move(labels[1]), classes);
  if (set.train->shape(0) != set.test->shape(0))
    throw InputError(fmt::format("{}: training images are {}, test images {}", tree.location(),
                                 set.train->shape(0).text(), set.test->shape(0).text()));
  return set;
}

}  // namespace lenet_flow

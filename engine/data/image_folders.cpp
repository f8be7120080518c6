#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <map>

#include "engine/data/image_decoder.h"
#include "engine/data/readers.h"
#include "engine/graph/diagnostics.h"

namespace lenet_flow {
namespace {

/// Decoded images that a data set keeps, so that an epoch need not decode them again: 512 MiB, the first images first.
constexpr std::uint64_t most_decoded_bytes = std::uint64_t{512} << 20;

struct Picture {
  std::size_t file = 0;
  std::int32_t label = 0;
  Shape shape;
};

/// A split of JPEG or PNG files. An image is decoded when it is first asked for; it then stays decoded where it is
/// among those that fit the cache.
class PictureDataset final : public Dataset {
 public:
  PictureDataset(std::shared_ptr<const FileTree> tree, std::vector<Picture> pictures, std::uint64_t cache_bytes)
      : tree_(std::move(tree)), pictures_(std::move(pictures)) {
    std::uint64_t bytes = 0;
    for (const Picture& picture : pictures_) {
      const std::uint64_t next = bytes + static_cast<std::uint64_t>(picture.shape.elements());
      if (next > cache_bytes) break;
      offsets_.push_back(bytes);
      bytes = next;
    }
    cached_bytes_ = bytes;
    cache_ = std::make_unique_for_overwrite<std::uint8_t[]>(bytes);  // pages are taken as they are written
    states_ = std::make_unique<std::atomic<State>[]>(offsets_.size());
  }

  std::uint64_t cached_bytes() const { return cached_bytes_; }

  std::int64_t size() const override { return static_cast<std::int64_t>(pictures_.size()); }
  std::int32_t label(std::int64_t index) const override { return picture(index).label; }
  Shape shape(std::int64_t index) const override { return picture(index).shape; }

  void read(std::int64_t index, std::span<std::uint8_t> pixels) const override {
    const auto i = static_cast<std::size_t>(index);
    const Picture& picture = pictures_[i];
    const auto bytes = static_cast<std::size_t>(picture.shape.elements());
    const bool has_place = i < offsets_.size();
    if (has_place && states_[i].load(std::memory_order_acquire) == State::ready) {
      std::copy_n(cache_.get() + offsets_[i], bytes, pixels.begin());
      return;
    }
    const FileTree::Content content = tree_->read(picture.file);
    decode_image(content.bytes(), picture.shape, pixels, tree_->where(picture.file));
    State empty = State::empty;
    // Of two threads that decoded the same image one writes; nobody waits.
    if (has_place && states_[i].compare_exchange_strong(empty, State::writing, std::memory_order_relaxed)) {
      std::copy_n(pixels.begin(), bytes, cache_.get() + offsets_[i]);
      states_[i].store(State::ready, std::memory_order_release);
    }
  }

 private:
  enum class State : std::uint8_t { empty, writing, ready };

  const Picture& picture(std::int64_t index) const { return pictures_[static_cast<std::size_t>(index)]; }

  std::shared_ptr<const FileTree> tree_;
  std::vector<Picture> pictures_;
  std::vector<std::uint64_t> offsets_;  ///< in the cache, of the images that have a place there
  std::uint64_t cached_bytes_ = 0;
  std::unique_ptr<std::uint8_t[]> cache_;
  std::unique_ptr<std::atomic<State>[]> states_;
};

bool is_picture_name(const std::string& path) {
  const std::string name = lower(path);
  return name.ends_with(".jpg") || name.ends_with(".jpeg") || name.ends_with(".png");
}

/// One image file of a split.
struct Found {
  std::size_t file;
  Split split;
  std::string class_name;
};

/// "train/cats/any/thing.jpg" -> train, "cats".
std::vector<Found> find_pictures(const ReaderInput& input) {
  std::vector<Found> found;
  for (std::size_t i = 0; i < input.paths.size(); ++i) {
    const std::string& path = input.paths[i];
    if (!is_picture_name(path)) continue;
    const std::size_t first = path.find('/');
    const std::size_t second = first == std::string::npos ? first : path.find('/', first + 1);
    if (second == std::string::npos) continue;
    const Split split = split_of(path.substr(0, first));
    if (split != Split::neither) found.push_back({i, split, path.substr(first + 1, second - first - 1)});
  }
  return found;
}

/// Class names in order: numbers by value, else by their characters.
struct ClassLess {
  static bool is_number(const std::string& name) {
    return name.size() <= 9 && std::all_of(name.begin(), name.end(), [](char c) { return c >= '0' && c <= '9'; });
  }
  bool operator()(const std::string& a, const std::string& b) const {
    const bool number = is_number(a);
    if (number != is_number(b)) return number;
    return number && std::stol(a) != std::stol(b) ? std::stol(a) < std::stol(b) : a < b;
  }
};

ImageHeader read_header(const FileTree& tree, std::size_t file) {
  constexpr std::uint64_t usual_head = 1 << 14;
  std::optional<ImageHeader> header = read_image_header(tree.read(file, usual_head).bytes());
  // Cameras may put a preview of any size before the frame.
  if (!header && tree.files()[file].bytes > usual_head) header = read_image_header(tree.read(file).bytes());
  if (!header)
    throw InputError(fmt::format("{}: {}", tree.where(file),
                                 tree.files()[file].bytes == 0 ? "empty file" : "damaged image: not a JPEG or PNG"));
  if (header->height < 1 || header->width < 1)
    throw InputError(fmt::format("{}: an image of {}x{} pixels", tree.where(file), header->height, header->width));
  if (header->height > longest_side || header->width > longest_side || header->height * header->width > most_pixels)
    throw InputError(fmt::format("{}: an image of {}x{} pixels; at most {} a side and {} in all", tree.where(file),
                                 header->height, header->width, longest_side, most_pixels));
  return *header;
}

}  // namespace

std::optional<DataSet> read_image_folders(const ReaderInput& input) {
  const FileTree& tree = *input.tree;
  const std::vector<Found> found = find_pictures(input);
  if (found.empty()) return std::nullopt;

  std::map<std::string, std::int32_t, ClassLess> classes;
  for (const Found& item : found)
    if (item.split == Split::train) classes.emplace(item.class_name, 0);
  std::int32_t next = 0;
  DataSet set;
  for (auto& [name, number] : classes) {
    number = next++;
    set.class_names.push_back(name);
  }

  std::vector<Picture> pictures[2];
  bool colour = false;
  for (const Found& item : found) {
    const auto label = classes.find(item.class_name);
    if (label == classes.end())
      throw InputError(fmt::format("{}: class '{}' has no images in train/", tree.where(item.file), item.class_name));
    const ImageHeader header = read_header(tree, item.file);
    colour = colour || header.colour;
    pictures[static_cast<int>(item.split)].push_back({item.file, label->second, {1, header.height, header.width}});
  }
  for (int split = 0; split < 2; ++split) {
    if (pictures[split].empty())
      throw InputError(fmt::format("{}: no images in {}/CLASS/", tree.location(), split == 0 ? "train" : "test"));
    // One image in colour makes all of them so: a set has one number of channels.
    for (Picture& picture : pictures[split]) picture.shape.channels = colour ? 3 : 1;
  }
  if (!can_decode_images()) decode_image({}, {}, {}, tree.location());

  auto train = std::make_unique<PictureDataset>(input.tree, std::move(pictures[0]), most_decoded_bytes);
  set.test =
      std::make_unique<PictureDataset>(input.tree, std::move(pictures[1]), most_decoded_bytes - train->cached_bytes());
  set.train = std::move(train);
  return set;
}

}  // namespace lenet_flow

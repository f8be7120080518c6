#pragma once

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "engine/data/bytes.h"
#include "engine/data/dataset.h"

namespace lenet_flow::test {

/// A folder of its own below the system's, removed in the end.
class TempFolder {
 public:
  TempFolder();
  ~TempFolder();
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }
  /// Writes a file (and the folders it lies in).
  void write(const std::string& name, const Bytes& bytes) const;
  void write(const std::string& name, const std::string& text) const;

 private:
  std::filesystem::path path_;
};

/// Sets an environment variable (empty: unsets it) and puts the old value back.
class Environment {
 public:
  Environment(std::string name, const std::string& value);
  ~Environment();
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

 private:
  std::string name_, old_;
  bool had_ = false;
};

Bytes bytes_of(const std::string& text);
Bytes gzip(const Bytes& bytes);

/// An IDX file: magic, dimensions, elements.
Bytes idx(std::uint32_t magic, const std::vector<std::uint32_t>& dimensions, const Bytes& elements);
/// `count` images of height x width whose pixels are a known function of (image, pixel): pixel_of.
Bytes idx_images(std::uint32_t count, std::uint32_t height, std::uint32_t width);
/// Labels i mod classes.
Bytes idx_labels(std::uint32_t count, std::uint32_t classes);
std::uint8_t pixel_of(std::int64_t image, std::int64_t pixel);

/// A tar archive of (path, content), plain or filtered: "", "gzip", "xz".
Bytes tar(const std::vector<std::pair<std::string, Bytes>>& files, const std::string& filter = "");

/// A PNG of 8 bits, written with zlib alone: pixels [row][column][channel], 1 (grey) or 3 channels. `filter` is the
/// filter type of every row, 0 to 4.
Bytes png(std::int64_t height, std::int64_t width, std::int64_t channels, const Bytes& pixels, int filter = 0);

/// What InputError or MissingError says, or "" where nothing is thrown. Anything else goes through.
std::string message_of(const std::function<void()>& body);
/// All images of a split, read through its interface.
std::vector<Bytes> read_all(const Dataset& dataset);

}  // namespace lenet_flow::test

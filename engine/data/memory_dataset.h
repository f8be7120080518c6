#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "engine/data/bytes.h"
#include "engine/data/dataset.h"

namespace lenet_flow {

/// A split whose images are of one shape and lie decoded in memory, one after the other.
class MemoryDataset final : public Dataset {
 public:
  /// `bytes` holds, after `offset` bytes of a header, labels.size() images of `shape`.
  MemoryDataset(const Shape& shape, Bytes bytes, std::size_t offset, std::vector<std::int32_t> labels)
      : shape_(shape), bytes_(std::move(bytes)), offset_(offset), labels_(std::move(labels)) {}

  std::int64_t size() const override { return static_cast<std::int64_t>(labels_.size()); }
  std::int32_t label(std::int64_t index) const override { return labels_[static_cast<std::size_t>(index)]; }
  Shape shape(std::int64_t) const override { return shape_; }
  void read(std::int64_t index, std::span<std::uint8_t> pixels) const override {
    const std::int64_t size = shape_.elements();
    std::copy_n(bytes_.begin() + static_cast<std::ptrdiff_t>(offset_) + index * size, size, pixels.begin());
  }

 private:
  Shape shape_;
  Bytes bytes_;
  std::size_t offset_;
  std::vector<std::int32_t> labels_;
};

}  // namespace lenet_flow

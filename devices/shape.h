#pragma once

#include <cstdint>
#include <string>

namespace lenet_flow {

/// The shape of one image (or of one image's activations): channels x height x width.
/// The output of a dense layer with n features is n x 1 x 1. All extents are >= 1 in a checked network.
struct Shape {
  std::int64_t channels = 0;
  std::int64_t height = 1;
  std::int64_t width = 1;

  /// Number of elements of one image.
  std::int64_t elements() const { return channels * height * width; }
  bool operator==(const Shape&) const = default;

  /// "6x28x28", or "120" for a vector of features.
  std::string text() const {
    if (height == 1 && width == 1) return std::to_string(channels);
    return std::to_string(channels) + "x" + std::to_string(height) + "x" + std::to_string(width);
  }
};

}  // namespace lenet_flow

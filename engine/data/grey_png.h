#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "engine/data/bytes.h"

namespace lenet_flow {

struct GreyImage {
  std::int64_t height = 0, width = 0;
  Bytes pixels;  ///< row by row
};

/// Decodes a PNG of 8-bit grey, not interlaced: all that the picture of digits needs, so that the default data set can
/// be had by a build without OpenCV's imgcodecs (and the 150 packages that those pull in). Checksums are checked.
/// Throws InputError, beginning with `where`, for a damaged file or another kind of PNG.
GreyImage read_grey_png(std::span<const std::uint8_t> bytes, const std::string& where);

}  // namespace lenet_flow

#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "devices/shape.h"

namespace lenet_flow {

/// What the first bytes of a JPEG or PNG file say.
struct ImageHeader {
  std::int64_t height = 0, width = 0;
  bool colour = false;  ///< more than one channel, or a palette
};

/// Reads the header alone, in a microsecond; nothing is decoded. Nothing is returned where the bytes are neither JPEG
/// nor PNG, or end before the size is known.
std::optional<ImageHeader> read_image_header(std::span<const std::uint8_t> bytes);

/// True where this build can decode JPEG and PNG (the option `images`, OpenCV's imgcodecs).
bool can_decode_images();

/// Decodes a JPEG or PNG into shape.elements() bytes, [channel][row][column]: red, green, blue, or one channel of grey.
/// Whatever the file holds becomes 8 bits; transparency and the camera's orientation are ignored. Safe from several
/// threads. Throws InputError, beginning with `where`, for a damaged or truncated file and for one of another size
/// than `shape`; MissingError in a build that cannot decode.
void decode_image(std::span<const std::uint8_t> bytes, const Shape& shape, std::span<std::uint8_t> pixels,
                  const std::string& where);

}  // namespace lenet_flow

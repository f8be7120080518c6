#include "engine/data/grey_png.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>

#include "engine/data/image_decoder.h"
#include "engine/data/readers.h"
#include "engine/graph/diagnostics.h"

// Section numbers are of the PNG specification, third edition, www.w3.org/TR/png-3.
namespace lenet_flow {
namespace {

std::uint32_t big_endian(std::span<const std::uint8_t> bytes, std::size_t at) {
  return std::uint32_t{bytes[at]} << 24 | std::uint32_t{bytes[at + 1]} << 16 | std::uint32_t{bytes[at + 2]} << 8 |
         bytes[at + 3];
}

/// Section 9.4: predicts a byte from its neighbours to the left, above, and above to the left.
std::uint8_t paeth(int left, int above, int corner) {
  const int estimate = left + above - corner;
  const int to_left = std::abs(estimate - left), to_above = std::abs(estimate - above);
  const int to_corner = std::abs(estimate - corner);
  if (to_left <= to_above && to_left <= to_corner) return static_cast<std::uint8_t>(left);
  return static_cast<std::uint8_t>(to_above <= to_corner ? above : corner);
}

/// Section 9.2: undoes a row's filter; `above` is the row before, or zeros.
void unfilter(std::uint8_t filter, std::span<const std::uint8_t> above, std::span<std::uint8_t> row,
              const std::string& where) {
  if (filter > 4) throw InputError(fmt::format("{}: damaged PNG: filter {}", where, filter));
  for (std::size_t i = 0; i < row.size(); ++i) {
    const int left = i == 0 ? 0 : row[i - 1], corner = i == 0 ? 0 : above[i - 1];
    int prediction = 0;
    if (filter == 1) prediction = left;
    if (filter == 2) prediction = above[i];
    if (filter == 3) prediction = (left + above[i]) / 2;
    if (filter == 4) prediction = paeth(left, above[i], corner);
    row[i] = static_cast<std::uint8_t>(row[i] + prediction);
  }
}

/// The IDAT chunks' data in one piece. Section 5.3: length, type, data, checksum of type and data.
Bytes compressed_data(std::span<const std::uint8_t> bytes, const std::string& where) {
  Bytes data;
  for (std::size_t at = 8; at + 12 <= bytes.size();) {
    const std::size_t length = big_endian(bytes, at);
    if (length > bytes.size() - at - 12) break;
    const auto typed = bytes.subspan(at + 4, 4 + length);
    if (crc32(0, typed.data(), static_cast<uInt>(typed.size())) != big_endian(bytes, at + 8 + length))
      throw InputError(fmt::format("{}: damaged PNG: a checksum is wrong", where));
    const std::string_view type(reinterpret_cast<const char*>(typed.data()), 4);
    if (type == "IDAT") data.insert(data.end(), typed.begin() + 4, typed.end());
    if (type == "IEND") return data;
    at += 12 + length;
  }
  throw InputError(fmt::format("{}: truncated PNG", where));
}

}  // namespace

GreyImage read_grey_png(std::span<const std::uint8_t> bytes, const std::string& where) {
  constexpr std::size_t depth_at = 24, interlace_at = 28;  // in the IHDR chunk, section 11.2.1
  const std::optional<ImageHeader> header = read_image_header(bytes);
  if (!header || bytes.size() <= interlace_at || bytes[depth_at] != 8 || bytes[depth_at + 1] != 0 ||
      bytes[interlace_at] != 0)
    throw InputError(fmt::format("{}: expected a PNG of 8-bit grey, not interlaced", where));
  if (header->height < 1 || header->width < 1 || header->height > longest_side || header->width > longest_side)
    throw InputError(fmt::format("{}: a PNG of {}x{} pixels", where, header->height, header->width));

  GreyImage image{header->height, header->width, {}};
  const auto width = static_cast<std::size_t>(image.width), height = static_cast<std::size_t>(image.height);
  const std::size_t expected = height * (width + 1);  // each row has its filter before it
  Bytes rows = inflate_bytes(compressed_data(bytes, where), expected, InflateEnd::whole, where);
  if (rows.size() != expected) throw InputError(fmt::format("{}: truncated PNG", where));
  const Bytes zeros(width);
  std::span<const std::uint8_t> above = zeros;
  image.pixels.reserve(height * width);
  for (std::size_t i = 0; i < height; ++i) {
    const std::span<std::uint8_t> row(rows.data() + i * (width + 1) + 1, width);
    unfilter(rows[i * (width + 1)], above, row, where);
    image.pixels.insert(image.pixels.end(), row.begin(), row.end());
    above = row;
  }
  return image;
}

}  // namespace lenet_flow

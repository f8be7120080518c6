#include "engine/data/image_decoder.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <mutex>
#include <opencv2/core.hpp>
#include <opencv2/core/utils/logger.hpp>
#ifdef LENET_FLOW_IMAGES
#include <opencv2/imgcodecs.hpp>
#endif

#include "engine/graph/diagnostics.h"

namespace lenet_flow {
namespace {

constexpr std::uint8_t png_signature[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};

bool is_png(std::span<const std::uint8_t> bytes) {
  return bytes.size() >= sizeof png_signature &&
         std::equal(std::begin(png_signature), std::end(png_signature), bytes.begin());
}

bool is_jpeg(std::span<const std::uint8_t> bytes) {
  return bytes.size() >= 3 && bytes[0] == 0xff && bytes[1] == 0xd8 && bytes[2] == 0xff;
}

std::int64_t big_endian(std::span<const std::uint8_t> bytes, std::size_t offset, std::size_t count) {
  std::int64_t value = 0;
  for (std::size_t i = 0; i < count; ++i) value = value << 8 | bytes[offset + i];
  return value;
}

/// The IHDR chunk, which is always the first: width, height, bits, colour type (0 and 4: grey). PNG, section 11.2.2.
std::optional<ImageHeader> read_png_header(std::span<const std::uint8_t> bytes) {
  constexpr std::size_t width_at = 16, height_at = 20, colour_at = 25;
  if (bytes.size() <= colour_at) return std::nullopt;
  const std::uint8_t colour_type = bytes[colour_at];
  return ImageHeader{big_endian(bytes, height_at, 4), big_endian(bytes, width_at, 4),
                     colour_type != 0 && colour_type != 4};
}

/// What a JPEG file's markers say. ITU-T T.81, annex B.
struct JpegMarkers {
  std::optional<ImageHeader> frame;
  bool end_of_image = false;
};

JpegMarkers read_jpeg_markers(std::span<const std::uint8_t> bytes, bool frame_only) {
  JpegMarkers markers;
  std::size_t at = 2;  // after the start-of-image marker
  while (at + 1 < bytes.size()) {
    // Entropy-coded data has 0xff only before 0x00 or a restart marker (0xd0 to 0xd7); 0xff 0xff is filling.
    const std::uint8_t marker = bytes[at + 1];
    if (bytes[at] != 0xff || marker == 0xff) {
      ++at;
      continue;
    }
    at += 2;
    if (marker == 0x00 || marker == 0x01 || (marker >= 0xd0 && marker <= 0xd8)) continue;
    if (marker == 0xd9) {
      markers.end_of_image = true;
      break;
    }
    if (at + 2 > bytes.size()) break;
    const auto length = static_cast<std::size_t>(big_endian(bytes, at, 2));
    // The start of a frame, of any coding; 0xc4, 0xc8 and 0xcc are no frames.
    if (marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc &&
        at + 8 <= bytes.size())
      markers.frame = ImageHeader{big_endian(bytes, at + 3, 2), big_endian(bytes, at + 5, 2), bytes[at + 7] != 1};
    if (markers.frame && frame_only) break;
    at += std::max<std::size_t>(length, 2);
  }
  return markers;
}

}  // namespace

std::optional<ImageHeader> read_image_header(std::span<const std::uint8_t> bytes) {
  if (is_png(bytes)) return read_png_header(bytes);
  if (is_jpeg(bytes)) return read_jpeg_markers(bytes, true).frame;
  return std::nullopt;
}

#ifdef LENET_FLOW_IMAGES

bool can_decode_images() { return true; }

void decode_image(std::span<const std::uint8_t> bytes, const Shape& shape, std::span<std::uint8_t> pixels,
                  const std::string& where) {
  static std::once_flag once;
  std::call_once(once, [] { cv::utils::logging::setLogLevel(cv::utils::logging::LOG_LEVEL_SILENT); });

  if (bytes.size() > static_cast<std::size_t>(std::numeric_limits<int>::max()))
    throw InputError(fmt::format("{}: an image file of {} bytes", where, bytes.size()));
  // OpenCV gives a truncated JPEG as a whole one.
  if (is_jpeg(bytes) && !read_jpeg_markers(bytes, false).end_of_image)
    throw InputError(fmt::format("{}: truncated JPEG", where));
  const bool colour = shape.channels == 3;
  const int flags = (colour ? cv::IMREAD_COLOR : cv::IMREAD_GRAYSCALE) | cv::IMREAD_IGNORE_ORIENTATION;
  const cv::Mat encoded(1, static_cast<int>(bytes.size()), CV_8U, const_cast<std::uint8_t*>(bytes.data()));
  cv::Mat image;
  try {
    image = cv::imdecode(encoded, flags);
  } catch (const cv::Exception& error) {
    throw InputError(fmt::format("{}: damaged image ({})", where, error.err));
  }
  if (image.empty()) throw InputError(fmt::format("{}: damaged image: it cannot be decoded", where));
  if (image.rows != shape.height || image.cols != shape.width || image.type() != (colour ? CV_8UC3 : CV_8UC1))
    throw InputError(fmt::format("{}: damaged image: it decodes to {}x{}, its header says {}", where, image.rows,
                                 image.cols, shape.text()));

  const std::int64_t plane = shape.height * shape.width;
  for (int row = 0; row < image.rows; ++row) {
    const std::uint8_t* from = image.ptr(row);
    std::uint8_t* to = pixels.data() + row * shape.width;
    if (!colour) {
      std::copy_n(from, shape.width, to);
      continue;
    }
    for (std::int64_t column = 0; column < shape.width; ++column)
      for (int channel = 0; channel < 3; ++channel)  // OpenCV's order is blue, green, red
        to[channel * plane + column] = from[3 * column + 2 - channel];
  }
}

#else

bool can_decode_images() { return false; }

void decode_image(std::span<const std::uint8_t>, const Shape&, std::span<std::uint8_t>, const std::string& where) {
  throw MissingError(where +
                     ": this build cannot decode JPEG and PNG; install libopencv-imgcodecs-dev and configure "
                     "again: meson setup --reconfigure -Dimages=enabled build");
}

#endif

}  // namespace lenet_flow

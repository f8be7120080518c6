#include "engine/data/digits_sheet.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>

#include "engine/data/grey_png.h"
#include "engine/graph/diagnostics.h"

namespace lenet_flow {
namespace {

constexpr std::int64_t digit_side = 20, border = 4, image_side = digit_side + 2 * border;
constexpr std::int64_t sheet_columns = 100, rows_a_class = 5, classes = 10;

/// The columns of the sheet that make a split.
struct SplitColumns {
  const char* name;
  std::int64_t first, count;
};
constexpr SplitColumns splits[] = {{"train", 0, 80}, {"t10k", 80, 20}};

void append_big_endian(Bytes& bytes, std::int64_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) bytes.push_back(static_cast<std::uint8_t>(value >> shift));
}

/// Copies the digit at (row, column) of the sheet into the middle of `image`.
void copy_digit(const GreyImage& sheet, std::int64_t row, std::int64_t column, std::uint8_t* image) {
  for (std::int64_t y = 0; y < digit_side; ++y)
    std::copy_n(sheet.pixels.data() + (row * digit_side + y) * sheet.width + column * digit_side, digit_side,
                image + (border + y) * image_side + border);
}

void write_bytes(const std::filesystem::path& path, const Bytes& bytes) {
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  file.close();
  if (!file) throw std::runtime_error(fmt::format("{}: cannot be written", path.string()));
}

void write_split(const GreyImage& sheet, const SplitColumns& split, const std::filesystem::path& folder) {
  const std::int64_t count = classes * rows_a_class * split.count;
  Bytes images, labels;
  append_big_endian(images, 0x0803);
  for (const std::int64_t extent : {count, image_side, image_side}) append_big_endian(images, extent);
  append_big_endian(labels, 0x0801);
  append_big_endian(labels, count);
  const std::size_t header = images.size();
  images.resize(header + static_cast<std::size_t>(count * image_side * image_side));
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t label = i % classes, place = i / classes;
    copy_digit(sheet, label * rows_a_class + place / split.count, split.first + place % split.count,
               images.data() + header + i * image_side * image_side);
    labels.push_back(static_cast<std::uint8_t>(label));
  }
  write_bytes(folder / fmt::format("{}-images-idx3-ubyte", split.name), images);
  write_bytes(folder / fmt::format("{}-labels-idx1-ubyte", split.name), labels);
}

}  // namespace

void write_digits(std::span<const std::uint8_t> png, const std::string& where, const std::filesystem::path& folder) {
  const GreyImage sheet = read_grey_png(png, where);
  if (sheet.width != sheet_columns * digit_side || sheet.height != classes * rows_a_class * digit_side)
    throw InputError(fmt::format("{}: not the picture of digits: {} x {} pixels, expected {} x {}", where, sheet.width,
                                 sheet.height, sheet_columns * digit_side, classes * rows_a_class * digit_side));
  for (const SplitColumns& split : splits) write_split(sheet, split, folder);
}

}  // namespace lenet_flow

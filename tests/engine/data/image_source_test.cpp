#include "engine/data/image_source.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>
#include <numeric>
#include <optional>
#include <set>

#include "devices/random.h"
#include "engine/data/memory_dataset.h"
#include "engine/graph/diagnostics.h"
#include "tests/engine/data/test_files.h"

using namespace lenet_flow;
using namespace lenet_flow::test;

namespace {

MemoryDataset images_of(const Shape& shape, std::int64_t count) {
  Bytes pixels;
  for (std::int64_t i = 0; i < count; ++i)
    for (std::int64_t j = 0; j < shape.elements(); ++j) pixels.push_back(pixel_of(i, j));
  return {shape, std::move(pixels), 0, std::vector<std::int32_t>(static_cast<std::size_t>(count))};
}

TypedEntry entry(const std::string& type,
                 std::initializer_list<std::pair<std::string, AttributeValue>> attributes = {}) {
  TypedEntry result;
  result.type = type;
  for (const auto& [name, value] : attributes) result.attributes.set(name, value);
  return result;
}

using Steps = std::vector<TypedEntry>;

std::vector<float> write(const ImageSource& source, std::int64_t index, bool training = false,
                         std::uint32_t epoch = 0) {
  std::vector<float> pixels(static_cast<std::size_t>(source.shape().elements()), -1e30f);
  source.write(index, epoch, training, pixels);
  return pixels;
}

/// pixel_of as doubles, [channel][row][column].
std::vector<double> plain(const Shape& shape, std::int64_t image) {
  std::vector<double> pixels;
  for (std::int64_t j = 0; j < shape.elements(); ++j) pixels.push_back(pixel_of(image, j));
  return pixels;
}

double at(const std::vector<double>& image, const Shape& shape, std::int64_t c, std::int64_t y, std::int64_t x) {
  if (y < 0 || x < 0 || y >= shape.height || x >= shape.width) return 0;
  return image[static_cast<std::size_t>((c * shape.height + y) * shape.width + x)];
}

void check_near(const std::vector<float>& ours, const std::vector<double>& expected, double tolerance) {
  REQUIRE(ours.size() == expected.size());
  double worst = 0;
  for (std::size_t i = 0; i < ours.size(); ++i) worst = std::max(worst, std::abs(ours[i] - expected[i]));
  CHECK(worst <= tolerance);
}

/// Bilinear value at a point, zeros outside, in double precision: the sum over all pixels of a tent.
double tent_sample(const std::vector<double>& image, const Shape& shape, std::int64_t c, double y, double x) {
  double sum = 0;
  for (std::int64_t row = 0; row < shape.height; ++row)
    for (std::int64_t column = 0; column < shape.width; ++column)
      sum += std::max(0.0, 1 - std::abs(y - static_cast<double>(row))) *
             std::max(0.0, 1 - std::abs(x - static_cast<double>(column))) * at(image, shape, c, row, column);
  return sum;
}

std::string construction_message(const Dataset& dataset, const Steps& preprocess, const Steps& augment = {}) {
  return message_of([&] { ImageSource(dataset, preprocess, augment, 1); });
}

}  // namespace

TEST_CASE("with no steps the network sees 0..255, [channel][row][column]") {
  const Shape shape{3, 4, 5};
  const MemoryDataset images = images_of(shape, 2);
  const ImageSource source(images, Steps{}, Steps{}, 1);
  CHECK(source.shape() == shape);
  check_near(write(source, 1), plain(shape, 1), 0);
}

TEST_CASE("scale and normalize, first and later") {
  const Shape shape{3, 2, 3};
  const MemoryDataset images = images_of(shape, 2);
  const std::vector<double> mean{0.1, 0.2, 0.3}, deviation{0.5, 0.25, 2};
  const ImageSource source(
      images,
      Steps{entry("scale", {{"by", 1.0 / 255}}), entry("normalize", {{"mean", mean}, {"std", deviation}}),
            entry("scale", {{"by", 3.0}})},
      Steps{}, 1);
  std::vector<double> expected = plain(shape, 1);
  for (std::size_t i = 0; i < expected.size(); ++i)
    expected[i] = (expected[i] / 255 - mean[i / 6]) / deviation[i / 6] * 3;
  check_near(write(source, 1), expected, 1e-5);
  CHECK(write(source, 1) == write(source, 1, true));
}

TEST_CASE("pad, crop, grayscale and resize against references") {
  const Shape shape{3, 5, 6};
  const MemoryDataset images = images_of(shape, 3);
  const std::vector<double> image = plain(shape, 2);
  SUBCASE("pad") {
    const ImageSource source(images, Steps{entry("pad", {{"pixels", std::int64_t{2}}, {"value", -1.5}})}, Steps{}, 1);
    REQUIRE(source.shape() == Shape{3, 9, 10});
    std::vector<double> expected;
    for (int c = 0; c < 3; ++c)
      for (int y = -2; y < 7; ++y)
        for (int x = -2; x < 8; ++x)
          expected.push_back(y < 0 || x < 0 || y >= 5 || x >= 6 ? -1.5 : at(image, shape, c, y, x));
    check_near(write(source, 2), expected, 0);
  }
  SUBCASE("crop") {
    const ImageSource source(images, Steps{entry("crop", {{"size", Extent{2, 3}}})}, Steps{}, 1);
    REQUIRE(source.shape() == Shape{3, 2, 3});
    std::vector<double> expected;
    for (int c = 0; c < 3; ++c)
      for (int y = 1; y < 3; ++y)
        for (int x = 1; x < 4; ++x) expected.push_back(at(image, shape, c, y, x));
    check_near(write(source, 2), expected, 0);
  }
  SUBCASE("grayscale") {
    const ImageSource source(images, Steps{entry("grayscale"), entry("scale", {{"by", 0.5}})}, Steps{}, 1);
    REQUIRE(source.shape() == Shape{1, 5, 6});
    std::vector<double> expected;
    for (std::size_t i = 0; i < 30; ++i)
      expected.push_back(0.5 * (0.299 * image[i] + 0.587 * image[30 + i] + 0.114 * image[60 + i]));
    check_near(write(source, 2), expected, 1e-4);
  }
  SUBCASE("resize") {
    for (const Extent size : {Extent{7, 9}, Extent{3, 4}, Extent{10, 3}, Extent{1, 1}}) {
      const ImageSource source(images, Steps{entry("resize", {{"size", size}})}, Steps{}, 1);
      REQUIRE(source.shape() == Shape{3, size.height, size.width});
      std::vector<double> expected;
      for (int c = 0; c < 3; ++c)
        for (std::int64_t y = 0; y < size.height; ++y)
          for (std::int64_t x = 0; x < size.width; ++x) {
            // Pixel centres at halves; the border repeats.
            const double row =
                std::clamp((static_cast<double>(y) + 0.5) * 5 / static_cast<double>(size.height) - 0.5, 0.0, 4.0);
            const double column =
                std::clamp((static_cast<double>(x) + 0.5) * 6 / static_cast<double>(size.width) - 0.5, 0.0, 5.0);
            expected.push_back(tent_sample(image, shape, c, row, column));
          }
      check_near(write(source, 2), expected, 2e-3);
    }
  }
}

TEST_CASE("a resize brings mixed sizes to one; without one they are refused") {
  class Mixed final : public Dataset {
   public:
    std::int64_t size() const override { return 2; }
    std::int32_t label(std::int64_t) const override { return 0; }
    Shape shape(std::int64_t index) const override { return {1, 4 + index, 4}; }
    void read(std::int64_t, std::span<std::uint8_t> pixels) const override {
      std::ranges::fill(pixels, std::uint8_t{9});
    }
  } mixed;
  const std::string message = construction_message(mixed, {});
  CHECK(message.find("several sizes (1x4x4, 1x5x4)") != std::string::npos);
  CHECK(message.find("\"resize\"") != std::string::npos);
  const ImageSource source(mixed, Steps{entry("resize", {{"size", Extent{3, 3}}})}, Steps{}, 1);
  check_near(write(source, 0), std::vector<double>(9, 9), 1e-4);
  check_near(write(source, 1), std::vector<double>(9, 9), 1e-4);
  const ImageSource cropped(mixed, Steps{entry("crop", {{"size", Extent{4, 4}}})}, Steps{}, 1);
  check_near(write(cropped, 1), std::vector<double>(16, 9), 0);
}

TEST_CASE("steps that do not fit the images are refused with their place") {
  const MemoryDataset images = images_of({3, 5, 6}, 1);
  const auto refused = [&](const TypedEntry& step, const std::string& part) {
    const std::string message = construction_message(images, {entry("scale", {{"by", 1.0}}), step});
    CAPTURE(message);
    CHECK(message.find("data.preprocess[1]") != std::string::npos);
    CHECK(message.find(part) != std::string::npos);
  };
  refused(entry("crop", {{"size", Extent{6, 6}}}), "6x6 is larger than the images, which are 3x5x6");
  refused(entry("normalize", {{"mean", std::vector<double>{1, 2}}, {"std", std::vector<double>{1}}}),
          "expected one number or 3");
  refused(entry("resize", {{"size", Extent{16384, 16384}}}), "at most");
  refused(entry("pad", {{"pixels", std::int64_t{16384}}, {"value", 0.0}}), "at most");
  const MemoryDataset two = images_of({2, 5, 6}, 1);
  CHECK(construction_message(two, {entry("grayscale")}).find("3 channels") != std::string::npos);
}

namespace {

/// The move (down, right) in [-most, most]^2 that makes `moved` of image `index`, or nothing.
std::optional<std::pair<int, int>> find_move(const std::vector<float>& moved, const Shape& shape, std::int64_t index,
                                             int most) {
  const std::vector<double> image = plain(shape, index);
  for (int down = -most; down <= most; ++down)
    for (int right = -most; right <= most; ++right) {
      bool same = true;
      std::size_t i = 0;
      for (std::int64_t c = 0; c < shape.channels; ++c)
        for (std::int64_t y = 0; y < shape.height; ++y)
          for (std::int64_t x = 0; x < shape.width; ++x)
            same = same && static_cast<double>(moved[i++]) == at(image, shape, c, y - down, x - right);
      if (same) return std::pair{down, right};
    }
  return std::nullopt;
}

}  // namespace

TEST_CASE("shift and crop: every move is as likely, zeros come in, evaluation is left alone") {
  const Shape shape{2, 5, 4};
  constexpr std::int64_t count = 2500;
  const MemoryDataset images = images_of(shape, count);
  TypedEntry step;
  SUBCASE("shift") { step = entry("shift", {{"pixels", std::int64_t{2}}}); }
  SUBCASE("crop") { step = entry("crop", {{"padding", std::int64_t{2}}}); }
  const ImageSource source(images, Steps{}, Steps{step}, 7);
  std::map<std::pair<int, int>, int> counts;
  for (std::int64_t i = 0; i < count; ++i) {
    const auto move = find_move(write(source, i, true, 3), shape, i, 2);
    REQUIRE(move);
    ++counts[*move];
    if (i < 20) check_near(write(source, i), plain(shape, i), 0);
  }
  // 25 moves, 100 expected of each: chi-square with 24 degrees of freedom is under 51.2 in 99.9% of cases.
  double chi_square = 0;
  for (int down = -2; down <= 2; ++down)
    for (int right = -2; right <= 2; ++right) chi_square += std::pow(counts[{down, right}] - 100.0, 2) / 100;
  CHECK(chi_square < 51.2);
}

TEST_CASE("a shift by more than the image leaves zeros, and nothing else") {
  const Shape shape{1, 2, 2};
  const MemoryDataset images = images_of(shape, 50);
  const ImageSource source(images, Steps{}, Steps{entry("shift", {{"pixels", std::int64_t{16384}}})}, 7);
  for (std::int64_t i = 0; i < 50; ++i) CHECK(find_move(write(source, i, true), shape, i, 2));
}

TEST_CASE("flip mirrors half of the images") {
  const Shape shape{2, 3, 4};
  constexpr std::int64_t count = 1000;
  const MemoryDataset images = images_of(shape, count);
  for (const std::string direction : {"horizontal", "vertical"}) {
    const ImageSource source(images, Steps{}, Steps{entry("flip", {{"direction", direction}})}, 7);
    int flipped = 0;
    for (std::int64_t i = 0; i < count; ++i) {
      const std::vector<double> image = plain(shape, i);
      std::vector<double> mirrored;
      for (int c = 0; c < 2; ++c)
        for (int y = 0; y < 3; ++y)
          for (int x = 0; x < 4; ++x)
            mirrored.push_back(direction == "vertical" ? at(image, shape, c, 2 - y, x) : at(image, shape, c, y, 3 - x));
      const std::vector<float> ours = write(source, i, true);
      const std::vector<double> as_double(ours.begin(), ours.end());
      REQUIRE((as_double == image || as_double == mirrored));
      flipped += as_double == mirrored;
    }
    CHECK(std::abs(flipped - 500) < 65);  // 4 standard deviations
  }
}

TEST_CASE("rotate against a reference in double precision; angles fill the range") {
  const Shape shape{2, 7, 6};
  constexpr std::int64_t count = 200;
  const MemoryDataset images = images_of(shape, count);
  const ImageSource source(images, Steps{}, Steps{entry("rotate", {{"degrees", 30.0}})}, 7);
  double least = 0, most = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    const RandomStream random(7, 4, static_cast<std::uint32_t>(i), "augment.rotate0");
    const double degrees = (2.0 * static_cast<double>(random.uniform(0)) - 1) * 30;
    least = std::min(least, degrees);
    most = std::max(most, degrees);
    const double angle = degrees * std::acos(-1.0) / 180;
    const std::vector<double> image = plain(shape, i);
    std::vector<double> expected;
    for (int c = 0; c < 2; ++c)
      for (int y = 0; y < 7; ++y)
        for (int x = 0; x < 6; ++x) {
          // Where the pixel came from: turned back (clockwise as seen, rows count downwards).
          const double right = x - 2.5, up = 3.0 - y;
          const double from_right = right * std::cos(angle) + up * std::sin(angle);
          const double from_up = up * std::cos(angle) - right * std::sin(angle);
          expected.push_back(tent_sample(image, shape, c, 3.0 - from_up, 2.5 + from_right));
        }
    check_near(write(source, i, true, 4), expected, 2e-3);
  }
  CHECK(least < -27);
  CHECK(most > 27);
}

TEST_CASE("augmentation depends on seed, epoch, sample and step, and on nothing else") {
  const Shape shape{1, 9, 9};
  const MemoryDataset images = images_of(shape, 30);
  const Steps shift{entry("shift", {{"pixels", std::int64_t{4}}})};
  const Steps twice{shift[0], shift[0]};
  const ImageSource source(images, Steps{}, shift, 7), same(images, Steps{}, shift, 7),
      other(images, Steps{}, shift, 8);
  int differ_by_epoch = 0, differ_by_seed = 0;
  std::set<std::pair<int, int>> moves;
  for (std::int64_t i = 29; i >= 0; --i) {
    const std::vector<float> ours = write(source, i, true, 5);
    CHECK(ours == write(same, i, true, 5));
    differ_by_epoch += ours != write(source, i, true, 6);
    differ_by_seed += ours != write(other, i, true, 5);
    moves.insert(*find_move(ours, shape, i, 4));
  }
  CHECK(differ_by_epoch > 20);
  CHECK(differ_by_seed > 20);
  CHECK(moves.size() > 15);
  // Two steps of one type draw their own numbers: were they the same, every sum would be even.
  const ImageSource both(images, Steps{}, twice, 7);
  int odd = 0;
  for (std::int64_t i = 0; i < 30; ++i)
    if (const auto move = find_move(write(both, i, true, 5), shape, i, 8)) odd += move->first % 2 != 0;
  CHECK(odd > 5);
}

TEST_CASE("steps after one another, with and without augmentation") {
  const Shape shape{3, 6, 6};
  const MemoryDataset images = images_of(shape, 4);
  const Steps preprocess{entry("scale", {{"by", 0.5}}), entry("pad", {{"pixels", std::int64_t{1}}, {"value", 0.0}}),
                         entry("grayscale"), entry("crop", {{"size", Extent{6, 6}}}), entry("scale", {{"by", 2.0}})};
  const Steps augment{entry("shift", {{"pixels", std::int64_t{1}}}),
                      entry("flip", {{"direction", std::string("horizontal")}}), entry("rotate", {{"degrees", 1e-9}})};
  const ImageSource source(images, preprocess, augment, 1);
  CHECK(source.shape() == Shape{1, 6, 6});
  std::vector<double> expected;
  const std::vector<double> image = plain(shape, 3);
  for (std::size_t i = 0; i < 36; ++i)
    expected.push_back(0.299 * image[i] + 0.587 * image[36 + i] + 0.114 * image[72 + i]);
  check_near(write(source, 3), expected, 1e-3);
  const std::vector<float> augmented = write(source, 3, true);
  CHECK(augmented.size() == 36);
  for (const float pixel : augmented) CHECK((pixel >= 0 && pixel <= 255.1f));
}

TEST_CASE("an epoch's order is a permutation, keyed by seed and epoch, and fair") {
  CHECK(epoch_order(4, false, 1, 2) == std::vector<std::uint32_t>{0, 1, 2, 3});
  CHECK(epoch_order(0, true, 1, 2).empty());
  CHECK(epoch_order(1, true, 1, 2) == std::vector<std::uint32_t>{0});
  std::vector<std::uint32_t> order = epoch_order(1000, true, 1, 2);
  CHECK(order == epoch_order(1000, true, 1, 2));
  CHECK(order != epoch_order(1000, true, 1, 3));
  CHECK(order != epoch_order(1000, true, 2, 2));
  std::vector<std::uint32_t> all(1000);
  std::iota(all.begin(), all.end(), 0u);
  CHECK(order != all);
  std::ranges::sort(order);
  CHECK(order == all);
  // All 24 orders of four, 200 expected of each: chi-square with 23 degrees of freedom is under 49.7 in 99.9%.
  std::map<std::vector<std::uint32_t>, int> counts;
  for (std::uint32_t epoch = 0; epoch < 4800; ++epoch) ++counts[epoch_order(4, true, 11, epoch)];
  double chi_square = 0;
  for (const auto& [permutation, count] : counts) chi_square += std::pow(count - 200.0, 2) / 200;
  CHECK(counts.size() == 24);
  CHECK(chi_square < 49.7);
}

TEST_CASE("an image of MNIST's size costs well under a microsecond") {
  const MemoryDataset images = images_of({1, 28, 28}, 1000);
  const ImageSource source(images, Steps{entry("scale", {{"by", 1.0 / 255}})}, Steps{}, 1);
  std::vector<float> pixels(784);
  double best = 1e9;
  for (int round = 0; round < 20; ++round) {
    const auto start = std::chrono::steady_clock::now();
    for (std::int64_t i = 0; i < 1000; ++i) source.write(i, 0, true, pixels);
    best = std::min(best,
                    std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count() / 1000);
  }
  MESSAGE(best << " us an image");
  CHECK(best < 100);  // a sanitizer's build included
}

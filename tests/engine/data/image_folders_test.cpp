#include <doctest/doctest.h>

#include <thread>

#include "engine/data/catalog.h"
#include "engine/data/grey_png.h"
#include "engine/data/image_decoder.h"
#include "engine/graph/diagnostics.h"
#include "tests/engine/data/test_files.h"
#ifdef LENET_FLOW_IMAGES
#include <opencv2/imgcodecs.hpp>
#endif

using namespace lenet_flow;
using namespace lenet_flow::test;

namespace {

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

/// Pixels [row][column][channel] of a test image.
Bytes image_pixels(std::int64_t image, std::int64_t count) {
  Bytes pixels;
  for (std::int64_t j = 0; j < count; ++j) pixels.push_back(pixel_of(image, j));
  return pixels;
}

/// [row][column][channel] -> [channel][row][column].
Bytes planar(const Bytes& pixels, std::size_t channels) {
  const std::size_t plane = pixels.size() / channels;
  Bytes result(pixels.size());
  for (std::size_t i = 0; i < plane; ++i)
    for (std::size_t channel = 0; channel < channels; ++channel)
      result[channel * plane + i] = pixels[i * channels + channel];
  return result;
}

}  // namespace

TEST_CASE("a grey PNG is read with every filter, and damage is found") {
  for (int filter = 0; filter < 5; ++filter) {
    const Bytes pixels = image_pixels(filter, 7 * 9);
    const GreyImage image = read_grey_png(png(7, 9, 1, pixels, filter), "x.png");
    CHECK(image.height == 7);
    CHECK(image.width == 9);
    CHECK(image.pixels == pixels);
  }
  CHECK(contains(message_of([] { read_grey_png(png(2, 2, 3, Bytes(12)), "x.png"); }), "x.png: expected a PNG"));
  const Bytes whole = png(7, 9, 1, image_pixels(1, 63));
  for (std::size_t size = 0; size < whole.size(); ++size)
    CHECK_THROWS_AS(read_grey_png({whole.data(), size}, "x.png"), InputError);
  for (std::size_t i = 0; i + 12 < whole.size(); ++i) {  // the last chunk has no data to damage
    Bytes damaged = whole;
    damaged[i] ^= 0x10;
    CAPTURE(i);
    CHECK_THROWS_AS(read_grey_png(damaged, "x.png"), InputError);
  }
}

TEST_CASE("headers are read without decoding") {
  const auto header = read_image_header(png(5, 6, 3, Bytes(90)));
  REQUIRE(header);
  CHECK(header->height == 5);
  CHECK(header->width == 6);
  CHECK(header->colour);
  CHECK(!read_image_header(png(5, 6, 1, Bytes(30)))->colour);
  CHECK(!read_image_header(bytes_of("GIF89a and so on, and so on, and so on")));
  CHECK(!read_image_header({}));
}

#ifdef LENET_FLOW_IMAGES

namespace {

/// A smooth JPEG of one colour a quarter, by OpenCV.
Bytes jpeg(int height, int width, bool colour) {
  cv::Mat image(height, width, colour ? CV_8UC3 : CV_8UC1);
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x)
      for (int c = 0; c < image.channels(); ++c)
        image.ptr(y)[x * image.channels() + c] =
            static_cast<std::uint8_t>(20 + 100 * c * (x >= width / 2) + 30 * (y >= height / 2));
  Bytes bytes;
  cv::imencode(".jpg", image, bytes, {cv::IMWRITE_JPEG_QUALITY, 100});
  return bytes;
}

std::string open_message(const TempFolder& folder) {
  return message_of([&] {
    const DataSet set = open_data_set("set", {folder.path()});
    read_all(*set.train);
    read_all(*set.test);
  });
}

}  // namespace

TEST_CASE("class folders: labels by name, grey and colour, folder and tar alike") {
  const Bytes grey = image_pixels(1, 20), colour = image_pixels(2, 60), other = image_pixels(3, 60);
  const std::vector<std::pair<std::string, Bytes>> files{{"train/zebra/a.png", png(4, 5, 3, colour)},
                                                         {"train/ant/x/y/deep.PNG", png(4, 5, 1, grey)},
                                                         {"test/zebra/b.png", png(4, 5, 3, other, 4)},
                                                         {"train/ant/notes.txt", bytes_of("no image")},
                                                         {"LICENSE", bytes_of("text")}};
  const TempFolder folder;
  SUBCASE("folder") {
    for (const auto& [name, bytes] : files) folder.write("set/" + name, bytes);
  }
  SUBCASE("tar") { folder.write("set/images.tar", tar(files)); }
  SUBCASE("tar.xz") { folder.write("set/images.tar.xz", tar(files, "xz")); }
  const DataSet set = open_data_set("set", {folder.path()});
  CHECK(set.class_names == std::vector<std::string>{"ant", "zebra"});
  REQUIRE(set.train->size() == 2);
  REQUIRE(set.test->size() == 1);
  CHECK(set.train->label(0) == 0);
  CHECK(set.train->label(1) == 1);
  CHECK(set.test->label(0) == 1);
  CHECK(set.train->shape(0) == Shape{3, 4, 5});
  Bytes grey_in_colour = grey;
  grey_in_colour.insert(grey_in_colour.end(), grey.begin(), grey.end());
  grey_in_colour.insert(grey_in_colour.end(), grey.begin(), grey.end());
  for (int pass = 0; pass < 2; ++pass) {  // decoded, then from the cache
    CHECK(read_all(*set.train) == std::vector<Bytes>{grey_in_colour, planar(colour, 3)});
    CHECK(read_all(*set.test) == std::vector<Bytes>{planar(other, 3)});
  }
}

TEST_CASE("classes named by numbers are ordered by value; images of one set may differ in size") {
  const TempFolder folder;
  for (const std::string name : {"10", "2", "1"}) folder.write("set/train/" + name + "/a.png", png(1, 2, 1, Bytes(2)));
  folder.write("set/test/2/a.png", png(3, 2, 1, Bytes(6)));
  const DataSet set = open_data_set("set", {folder.path()});
  CHECK(set.class_names == std::vector<std::string>{"1", "2", "10"});
  CHECK(set.test->label(0) == 1);
  CHECK(set.test->shape(0) == Shape{1, 3, 2});
}

TEST_CASE("JPEG is decoded in the right order of channels") {
  const TempFolder folder;
  folder.write("set/train/a/1.jpg", jpeg(16, 16, true));
  folder.write("set/test/a/1.jpeg", jpeg(16, 16, true));
  const DataSet set = open_data_set("set", {folder.path()});
  CHECK(set.train->shape(0) == Shape{3, 16, 16});
  const Bytes image = read_all(*set.train)[0];
  // OpenCV wrote blue, green, red: at the right, blue is 20, green 120, red 220.
  CHECK(std::abs(image[0 * 256 + 15] - 220) < 12);
  CHECK(std::abs(image[1 * 256 + 15] - 120) < 12);
  CHECK(std::abs(image[2 * 256 + 15] - 20) < 12);
  CHECK(std::abs(image[15 * 16] - 50) < 12);
}

TEST_CASE("damaged images are named: archive and member") {
  const TempFolder folder;
  const Bytes whole = jpeg(16, 16, false);
  const auto message = [&](const Bytes& bytes, const std::string& name) {
    folder.write(
        "set/images.tar",
        tar({{"train/a/ok.png", png(1, 1, 1, {7})}, {"train/a/" + name, bytes}, {"test/a/ok.png", png(1, 1, 1, {7})}}));
    const std::string text = open_message(folder);
    if (!text.empty()) CHECK(contains(text, "images.tar: train/a/" + name));
    return text;
  };
  CHECK(message(whole, "bad.jpg").empty());
  for (std::size_t size = 0; size < whole.size(); size += 7) {
    CAPTURE(size);
    CHECK(!message({whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)}, "bad.jpg").empty());
  }
  CHECK(contains(message({}, "bad.jpg"), "empty file"));
  CHECK(contains(message(bytes_of("<html>not found</html>"), "bad.jpg"), "not a JPEG or PNG"));
  const Bytes grey = png(9, 9, 1, image_pixels(1, 81));
  for (std::size_t size = 0; size + 12 < grey.size(); size += 5)  // OpenCV needs no end chunk
    CHECK(!message({grey.begin(), grey.begin() + static_cast<std::ptrdiff_t>(size)}, "bad.png").empty());
  Bytes huge = grey;
  huge[16] = huge[20] = 0x7f;
  CHECK(contains(message(huge, "bad.png"), "at most"));
  Bytes none = grey;
  none[19] = 0;
  CHECK(contains(message(none, "bad.png"), "9x0"));
}

TEST_CASE("random damage in a JPEG never does worse than an InputError") {
  const Bytes whole = jpeg(24, 24, true);
  std::uint32_t state = 12345;
  const auto next = [&state] { return state = state * 1664525u + 1013904223u, state >> 8; };
  Bytes pixels(3 * 24 * 24);
  for (int round = 0; round < 300; ++round) {
    Bytes damaged = whole;
    for (int change = 0; change < 4; ++change) damaged[next() % damaged.size()] = static_cast<std::uint8_t>(next());
    message_of([&] { decode_image(damaged, {3, 24, 24}, pixels, "x.jpg"); });
  }
}

TEST_CASE("class folders that make no set") {
  const TempFolder folder;
  folder.write("set/train/a/1.png", png(1, 1, 1, {1}));
  CHECK(contains(open_message(folder), "no images in test/CLASS/"));
  folder.write("set/test/b/1.png", png(1, 1, 1, {1}));
  CHECK(contains(open_message(folder), "class 'b' has no images in train/"));
}

TEST_CASE("several threads read the same images at once") {
  const TempFolder folder;
  for (int i = 0; i < 40; ++i)
    folder.write("set/train/a/" + std::to_string(100 + i) + ".png", png(8, 8, 1, image_pixels(i, 64)));
  folder.write("set/test/a/0.png", png(8, 8, 1, Bytes(64)));
  const DataSet set = open_data_set("set", {folder.path()});
  int wrong[4] = {};
  {
    std::vector<std::jthread> threads;
    for (int& count : wrong)
      threads.emplace_back([&set, &count] {
        const std::vector<Bytes> images = read_all(*set.train);
        for (int i = 0; i < 40; ++i) count += images[static_cast<std::size_t>(i)] != image_pixels(i, 64);
      });
  }
  for (const int count : wrong) CHECK(count == 0);
}

#else

TEST_CASE("a build without an image library says so") {
  const TempFolder folder;
  folder.write("set/train/a/1.png", png(1, 1, 1, {1}));
  folder.write("set/test/a/1.png", png(1, 1, 1, {1}));
  CHECK_THROWS_AS(open_data_set("set", {folder.path()}), MissingError);
}

#endif

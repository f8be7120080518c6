#include <doctest/doctest.h>

#include <chrono>
#include <cstdlib>
#include <map>

#include "engine/data/catalog.h"
#include "engine/data/image_decoder.h"
#include "engine/data/image_source.h"
#include "engine/graph/diagnostics.h"

using namespace lenet_flow;

// Real data sets, where LENET_FLOW_DATA names a folder that holds them.
namespace {

/// The set, or a DataSet without splits where it is not here.
DataSet open_if_here(const std::string& name) {
  const char* folder = std::getenv("LENET_FLOW_DATA");
  if (folder == nullptr || !std::filesystem::is_directory(std::filesystem::path(folder) / name)) {
    MESSAGE(name << " is not here: skipped");
    return {};
  }
  const auto start = std::chrono::steady_clock::now();
  DataSet set = open_data_set(name, {folder});
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  MESSAGE(name << " opened in " << seconds.count() << " s");
  return set;
}

std::map<int, int> histogram(const Dataset& dataset) {
  std::map<int, int> counts;
  for (std::int64_t i = 0; i < dataset.size(); ++i) ++counts[dataset.label(i)];
  return counts;
}

/// Sum of all pixels of the first `count` images.
std::uint64_t pixel_sum(const Dataset& dataset, std::int64_t count) {
  std::uint64_t sum = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    std::vector<std::uint8_t> pixels(static_cast<std::size_t>(dataset.shape(i).elements()));
    dataset.read(i, pixels);
    for (const std::uint8_t pixel : pixels) sum += pixel;
  }
  return sum;
}

}  // namespace

TEST_CASE("MNIST as published") {
  const DataSet set = open_if_here("mnist");
  if (!set.train) return;
  CHECK(set.train->size() == 60000);
  CHECK(set.test->size() == 10000);
  CHECK(set.train->shape(0) == Shape{1, 28, 28});
  // Counts of the classes, and the mean 33.3184 that everybody normalizes MNIST by (0.1307 * 255).
  CHECK(histogram(*set.train) == std::map<int, int>{{0, 5923},
                                                    {1, 6742},
                                                    {2, 5958},
                                                    {3, 6131},
                                                    {4, 5842},
                                                    {5, 5421},
                                                    {6, 5918},
                                                    {7, 6265},
                                                    {8, 5851},
                                                    {9, 5949}});
  CHECK(histogram(*set.test) ==
        std::map<int, int>{
            {0, 980}, {1, 1135}, {2, 1032}, {3, 1010}, {4, 982}, {5, 892}, {6, 958}, {7, 1028}, {8, 974}, {9, 1009}});
  CHECK(static_cast<double>(pixel_sum(*set.train, 60000)) / (60000.0 * 784) == doctest::Approx(33.3184).epsilon(1e-5));
}

TEST_CASE("CIFAR-10 as images in a tar.xz") {
  if (!can_decode_images()) return;
  const DataSet set = open_if_here("cifar10");
  if (!set.train) return;
  CHECK(set.train->size() == 50000);
  CHECK(set.test->size() == 10000);
  CHECK(set.train->shape(7) == Shape{3, 32, 32});
  CHECK(set.class_names == std::vector<std::string>{"airplane", "automobile", "bird", "cat", "deer", "dog", "frog",
                                                    "horse", "ship", "truck"});
  std::map<int, int> even, even_test;
  for (int i = 0; i < 10; ++i) even[i] = 5000, even_test[i] = 1000;
  CHECK(histogram(*set.train) == even);
  CHECK(histogram(*set.test) == even_test);
  // The mean of CIFAR-10's pixels is about 0.4734 (red 0.4914, green 0.4822, blue 0.4465); JPEG changes it little.
  std::uint64_t sum = 0;
  for (std::int64_t i = 0; i < 50000; i += 50) {
    std::vector<std::uint8_t> pixels(3 * 32 * 32);
    set.train->read(i, pixels);
    for (const std::uint8_t pixel : pixels) sum += pixel;
  }
  CHECK(static_cast<double>(sum) / (1000.0 * 3072 * 255) == doctest::Approx(0.4734).epsilon(0.03));
}

TEST_CASE("cats and dogs in a tar") {
  if (!can_decode_images()) return;
  const DataSet set = open_if_here("cats-dogs");
  if (!set.train) return;
  CHECK(set.class_names == std::vector<std::string>{"cats", "dogs"});
  CHECK(histogram(*set.train) == std::map<int, int>{{0, 1000}, {1, 1000}});
  CHECK(histogram(*set.test) == std::map<int, int>{{0, 200}, {1, 200}});
  const std::vector<TypedEntry> none;
  CHECK(ImageSource(*set.train, none, none, 1).shape() == Shape{3, 100, 100});
  const double mean = static_cast<double>(pixel_sum(*set.test, 400)) / (400.0 * 30000);
  CHECK(mean > 80);
  CHECK(mean < 150);
}

TEST_CASE("the status of real data") {
  const char* folder = std::getenv("LENET_FLOW_DATA");
  if (folder == nullptr) return;
  for (const SetStatus& status : data_status({folder})) {
    CAPTURE(status.name);
    CAPTURE(status.detail);
    CHECK(status.state != SetStatus::State::broken);
    if (status.name == "mnist" && std::filesystem::exists(status.folder))
      CHECK(status.state == SetStatus::State::whole);
  }
}

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "tests/layers/layer_run.h"

using namespace lenet_flow;
using namespace lenet_flow::test;

namespace {

/// One image of one channel, its gradient all of `gradient`.
LayerResults pool(const std::map<std::string, AttributeValue>& attributes, const Shape& shape,
                  std::vector<float> pixels, std::vector<float> gradient) {
  const LayerCase layer_case = make_case(*find_layer_type("max_pool"), attributes, {shape}, 1);
  REQUIRE(layer_case.output.elements() == static_cast<std::int64_t>(gradient.size()));
  LayerData data = make_data(layer_case, Mode::train);
  data.inputs = {std::move(pixels)};
  data.output_gradient = std::move(gradient);
  DeviceUnderTest under_test = std::move(devices_under_test().front());
  return run_layer(layer_case, data, under_test);
}

}  // namespace

TEST_CASE("of equal numbers the first in row order gets the gradient") {
  const LayerResults results =
      pool({{"kernel", Extent{2, 2}}}, {1, 4, 4}, {1, 1, 0, 3, 1, 1, 3, 3, -1, 2, 0, 0, 2, -1, 0, 0}, {10, 20, 30, 40});
  CHECK(results.output == std::vector<float>{1, 3, 2, 0});
  CHECK(results.input_gradients[0] == std::vector<float>{10, 0, 0, 20, 0, 0, 0, 0, 0, 30, 40, 0, 0, 0, 0, 0});
}

TEST_CASE("windows that overlap add up their gradients") {
  const LayerResults results =
      pool({{"kernel", Extent{1, 3}}, {"stride", Extent{1, 1}}}, {1, 1, 5}, {0, 1, 9, 2, 3}, {1, 10, 100});
  CHECK(results.output == std::vector<float>{9, 9, 9});
  CHECK(results.input_gradients[0] == std::vector<float>{0, 0, 111, 0, 0});
}

TEST_CASE("padding never wins, not even against the smallest numbers") {
  const float least = -std::numeric_limits<float>::infinity();
  const LayerResults results =
      pool({{"kernel", Extent{2, 2}}, {"padding", Extent{1, 1}}}, {1, 2, 2}, {least, -5, -6, -7}, {1, 2, 3, 4});
  CHECK(results.output == std::vector<float>{least, -5, -6, -7});
  CHECK(results.input_gradients[0] == std::vector<float>{1, 2, 3, 4});
}

TEST_CASE("a NaN is not swallowed") {
  const LayerResults results = pool({{"kernel", Extent{2, 2}}}, {1, 2, 4}, {1, NAN, 1, 2, 3, 4, NAN, 3}, {1, 2});
  CHECK(std::isnan(results.output[0]));
  CHECK(std::isnan(results.output[1]));
  CHECK(results.input_gradients[0] == std::vector<float>{0, 1, 0, 0, 0, 0, 2, 0});
}

TEST_CASE("columns that no window reaches get no gradient") {
  const LayerResults results =
      pool({{"kernel", Extent{1, 1}}, {"stride", Extent{1, 3}}}, {1, 1, 6}, {1, 2, 3, 4, 5, 6}, {7, 8});
  CHECK(results.output == std::vector<float>{1, 4});
  CHECK(results.input_gradients[0] == std::vector<float>{7, 0, 0, 8, 0, 0});
}

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "tests/layers/layer_run.h"

using namespace lenet_flow;
using namespace lenet_flow::test;

namespace {

LayerResults drop(const LayerCase& layer_case, const LayerData& data) {
  DeviceUnderTest under_test = std::move(devices_under_test().front());
  return run_layer(layer_case, data, under_test, {.backward = data.mode == Mode::train});
}

LayerCase dropout_case(double p, std::int64_t images) {
  return make_case(*find_layer_type("dropout"), {{"p", p}}, {{4, 25, 25}}, images);
}

double share_of_zeros(const std::vector<float>& values) {
  return static_cast<double>(std::count(values.begin(), values.end(), 0.0f)) / static_cast<double>(values.size());
}

}  // namespace

TEST_CASE("a share p is dropped, the rest is scaled so that the mean stays") {
  for (const double p : {0.1, 0.5, 0.9}) {
    const LayerCase layer_case = dropout_case(p, 8);
    LayerData data = make_data(layer_case, Mode::train);
    std::fill(data.inputs[0].begin(), data.inputs[0].end(), 1.0f);
    const LayerResults results = drop(layer_case, data);
    const double count = static_cast<double>(results.output.size());
    CHECK(std::abs(share_of_zeros(results.output) - p) < 5 * std::sqrt(p * (1 - p) / count));
    for (const float value : results.output) CHECK((value == 0.0f || value == static_cast<float>(1.0 / (1.0 - p))));
  }
}

TEST_CASE("p = 0 drops nothing and inferring never drops") {
  const LayerCase none = dropout_case(0.0, 2), half = dropout_case(0.5, 2);
  const LayerData train = make_data(none, Mode::train), infer = make_data(half, Mode::infer);
  CHECK(drop(none, train).output == train.inputs[0]);
  CHECK(drop(half, infer).output == infer.inputs[0]);
}

TEST_CASE("what is dropped follows the sample, not its place in the micro-batch") {
  const LayerCase layer_case = dropout_case(0.5, 2);
  LayerData data = make_data(layer_case, Mode::train);
  std::fill(data.inputs[0].begin(), data.inputs[0].end(), 1.0f);
  data.samples = {5, 6};
  const std::vector<float> once = drop(layer_case, data).output;
  data.samples = {6, 5};
  const std::vector<float> swapped = drop(layer_case, data).output;
  const auto half = static_cast<std::ptrdiff_t>(once.size() / 2);
  CHECK(std::equal(once.begin(), once.begin() + half, swapped.begin() + half));
  CHECK(std::equal(once.begin() + half, once.end(), swapped.begin()));
  CHECK_FALSE(std::equal(once.begin(), once.begin() + half, once.begin() + half));
}

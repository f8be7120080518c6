// How long a busy layer takes; the suite of all layers tests what it computes.
#include <doctest/doctest.h>

#include <chrono>

#include "tests/layers/layer_run.h"

using namespace lenet_flow;
using namespace lenet_flow::test;

namespace {

/// Seconds of F, I and W of one micro-batch.
double seconds_of(const LayerCase& layer_case) {
  std::vector<DeviceUnderTest> devices = devices_under_test();
  const LayerData data = make_data(layer_case, Mode::train);
  const auto begin = std::chrono::steady_clock::now();
  run_layer(layer_case, data, devices[0]);
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

LayerCase busy_case(double forward, double input_gradients, double parameter_gradients, std::int64_t images) {
  return make_case(*find_layer_type("busy"),
                   {{"forward_us", forward},
                    {"input_gradients_us", input_gradients},
                    {"parameter_gradients_us", parameter_gradients}},
                   {{2, 3, 4}}, images);
}

}  // namespace

TEST_CASE("A busy layer takes at least its time for every image, in F, I and W") {
  CHECK(seconds_of(busy_case(1000, 0, 0, 3)) >= 3e-3);
  CHECK(seconds_of(busy_case(0, 1000, 0, 3)) >= 3e-3);
  CHECK(seconds_of(busy_case(0, 0, 1000, 3)) >= 3e-3);
  CHECK(seconds_of(busy_case(2000, 1000, 500, 2)) >= 7e-3);
}

TEST_CASE("A busy layer has a parameter, which never changes, only where it has a W") {
  CHECK(busy_case(5, 5, 0, 1).parameters.empty());
  const LayerCase with_parameter = busy_case(0, 0, 1, 2);
  REQUIRE(with_parameter.parameters.size() == 1);
  std::vector<DeviceUnderTest> devices = devices_under_test();
  const LayerResults results = run_layer(with_parameter, make_data(with_parameter, Mode::train), devices[0]);
  CHECK(results.parameter_gradients[0] == std::vector<float>{0.0f});
}

TEST_CASE("A busy layer's FLOPs are in proportion to its times") {
  const LayerCase layer_case = busy_case(3, 2, 1, 1);
  const Flops flops = layer_case.layer->flops(layer_case.inputs);
  CHECK(flops.forward == doctest::Approx(3 * flops.parameter_gradients));
  CHECK(flops.input_gradients == doctest::Approx(2 * flops.parameter_gradients));
}

#include <doctest/doctest.h>

#include <cmath>

#include "tests/layers/layer_run.h"

using namespace lenet_flow;
using namespace lenet_flow::test;

namespace {

struct Normalized {
  LayerCase layer_case;
  LayerData data;
  LayerResults results;
};

/// `values` as one channel of as many images of one pixel; weight 1, bias 0, running mean 0.5, running variance 2.
Normalized normalize(const std::vector<float>& values, Mode mode, double momentum = 0.1) {
  Normalized made{make_case(*find_layer_type("batch_norm"), {{"momentum", momentum}}, {{1, 1, 1}},
                            static_cast<std::int64_t>(values.size())),
                  {},
                  {}};
  made.data = make_data(made.layer_case, mode);
  made.data.inputs = {values};
  made.data.parameters = {{1.0f}, {0.0f}, {0.5f}, {2.0f}};
  DeviceUnderTest under_test = std::move(devices_under_test().front());
  made.results = run_layer(made.layer_case, made.data, under_test, {.backward = mode == Mode::train});
  return made;
}

}  // namespace

TEST_CASE("normalizing takes the biased variance, the running one the unbiased: PyTorch's batch_norm") {
  // mean 3; squares of the differences sum to 20: biased 5, unbiased 20 / 3.
  const Normalized made = normalize({0, 2, 4, 6}, Mode::train);
  const double deviation = std::sqrt(5.0 + 1e-5);
  for (std::size_t i = 0; i < 4; ++i)
    CHECK(static_cast<double>(made.results.output[i]) ==
          doctest::Approx((2.0 * static_cast<double>(i) - 3.0) / deviation).epsilon(1e-6));
  CHECK(static_cast<double>(made.results.folded[2][0]) == doctest::Approx(0.9 * 0.5 + 0.1 * 3.0).epsilon(1e-6));
  CHECK(static_cast<double>(made.results.folded[3][0]) == doctest::Approx(0.9 * 2.0 + 0.1 * 20.0 / 3.0).epsilon(1e-6));
  CHECK(made.results.folded[0] == std::vector<float>{1.0f});
  CHECK(made.results.folded[1] == std::vector<float>{0.0f});
}

TEST_CASE("momentum 1 keeps the last micro-batch only, momentum 0 none") {
  CHECK(normalize({0, 2, 4, 6}, Mode::train, 1.0).results.folded[2][0] == 3.0f);
  CHECK(normalize({0, 2, 4, 6}, Mode::train, 0.0).results.folded[2][0] == 0.5f);
}

TEST_CASE("inferring takes the running statistics") {
  const Normalized made = normalize({2.5f, 0.5f}, Mode::infer);
  CHECK(static_cast<double>(made.results.output[0]) == doctest::Approx(2.0 / std::sqrt(2.0 + 1e-5)).epsilon(1e-6));
  CHECK(made.results.output[1] == 0.0f);
}

TEST_CASE("a single number is normalized to the bias, and its variance is zero, not NaN") {
  const Normalized made = normalize({42.0f}, Mode::train);
  CHECK(made.results.output[0] == 0.0f);
  CHECK(static_cast<double>(made.results.folded[3][0]) == doctest::Approx(0.9 * 2.0).epsilon(1e-6));
}

TEST_CASE("a large mean does not drown a small variance") {
  const Normalized made = normalize({10000.0f, 10001.0f, 10002.0f}, Mode::train);
  CHECK(static_cast<double>(made.results.output[2]) == doctest::Approx(std::sqrt(1.5)).epsilon(1e-4));
}

TEST_CASE("running statistics are parameters that are not trained") {
  const auto parameters = make_case(*find_layer_type("batch_norm"), {}, {{3, 2, 2}}, 1).parameters;
  REQUIRE(parameters.size() == 4);
  CHECK(parameters[0].name == "weight");
  CHECK(parameters[1].name == "bias");
  CHECK(parameters[2].name == "running_mean");
  CHECK(parameters[3].name == "running_var");
  for (std::size_t i = 0; i < 4; ++i) CHECK(parameters[i].trained == (i < 2));
  CHECK(parameters[3].initializer == Initializer::ones);
}

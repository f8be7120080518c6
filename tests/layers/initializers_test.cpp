#include "layers/initializers.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <vector>

#include "layers/registry.h"
#include "tests/layers/layer_case.h"

using namespace lenet_flow;

namespace {

constexpr std::int64_t fan_in = 50, fan_out = 30;

std::vector<float> draw(Initializer initializer, const char* name, std::uint64_t seed, std::int64_t count = 60000) {
  std::vector<float> values(static_cast<std::size_t>(count), NAN);
  initialize({.name = "weight", .shape = {count}, .initializer = initializer, .fan_in = fan_in, .fan_out = fan_out},
             name, seed, values);
  return values;
}

struct Moments {
  double mean = 0, deviation = 0, kurtosis = 0, greatest = 0;
};

Moments moments(const std::vector<float>& values) {
  Moments result;
  const double count = static_cast<double>(values.size());
  for (const float value : values) result.mean += static_cast<double>(value) / count;
  double second = 0, fourth = 0;
  for (const float value : values) {
    const double difference = static_cast<double>(value) - result.mean;
    second += difference * difference / count;
    fourth += std::pow(difference, 4) / count;
    result.greatest = std::max(result.greatest, std::abs(static_cast<double>(value)));
  }
  result.deviation = std::sqrt(second);
  result.kurtosis = fourth / (second * second);
  return result;
}

}  // namespace

TEST_CASE("initializers have the deviation and the shape that their papers ask for") {
  struct Expected {
    const char* name;
    double variance;
    bool normal;
  };
  for (const Expected& expected : {Expected{"pytorch", 1.0 / (3 * fan_in), false},
                                   {"he_normal", 2.0 / fan_in, true},
                                   {"he_uniform", 2.0 / fan_in, false},
                                   {"glorot_normal", 2.0 / (fan_in + fan_out), true},
                                   {"glorot_uniform", 2.0 / (fan_in + fan_out), false},
                                   {"lecun_normal", 1.0 / fan_in, true},
                                   {"lecun_uniform", 1.0 / fan_in, false}}) {
    INFO(expected.name);
    const Moments got = moments(draw(initializer_of(expected.name), "conv1.weight", 1));
    const double deviation = std::sqrt(expected.variance);
    CHECK(std::abs(got.mean) < 5 * deviation / std::sqrt(60000.0));
    CHECK(got.deviation == doctest::Approx(deviation).epsilon(0.02));
    CHECK(got.kurtosis == doctest::Approx(expected.normal ? 3.0 : 1.8).epsilon(0.05));
    if (!expected.normal) CHECK(got.greatest <= std::sqrt(3.0) * deviation * (1 + 1e-6));
    if (expected.normal) CHECK(got.greatest > 3.5 * deviation);
  }
}

TEST_CASE("every choice is known, and nothing else is") {
  for (const std::string& name : initializer_attribute().choices) CHECK_NOTHROW(initializer_of(name));
  CHECK(std::get<std::string>(initializer_attribute().default_value) == "pytorch");
  CHECK_THROWS_AS(initializer_of("he"), std::out_of_range);
}

TEST_CASE("first values depend on seed and name, and on nothing else") {
  const std::vector<float> values = draw(Initializer::he_normal, "conv1.weight", 1, 1000);
  CHECK(values == draw(Initializer::he_normal, "conv1.weight", 1, 1000));
  CHECK(values != draw(Initializer::he_normal, "conv1.weight", 2, 1000));
  CHECK(values != draw(Initializer::he_normal, "conv2.weight", 1, 1000));
  const std::vector<float> fewer = draw(Initializer::he_normal, "conv1.weight", 1, 100);
  CHECK(std::equal(fewer.begin(), fewer.end(), values.begin()));
}

TEST_CASE("constants are constant") {
  CHECK(draw(Initializer::zeros, "x", 1, 9) == std::vector<float>(9, 0.0f));
  CHECK(draw(Initializer::ones, "x", 1, 9) == std::vector<float>(9, 1.0f));
}

TEST_CASE("layers say PyTorch's fans, and draw the bias only where PyTorch would") {
  const auto parameters = [](const char* type, const char* initializer, const Shape& input) {
    std::map<std::string, AttributeValue> given{{"initializer", std::string(initializer)}};
    if (std::string(type) == "conv2d") {
      given.insert({{"out_channels", std::int64_t{8}}, {"kernel", Extent{5, 3}}, {"groups", std::int64_t{2}}});
    } else {
      given.insert({"out_features", std::int64_t{8}});
    }
    return test::make_case(*find_layer_type(type), given, {input}, 1).parameters;
  };
  const auto conv = parameters("conv2d", "pytorch", {6, 9, 9});
  CHECK(conv[0].shape == std::vector<std::int64_t>{8, 3, 5, 3});
  CHECK(conv[0].fan_in == 3 * 5 * 3);
  CHECK(conv[0].fan_out == 8 * 5 * 3);
  CHECK(conv[1].initializer == Initializer::pytorch_uniform);
  CHECK(conv[1].fan_in == conv[0].fan_in);
  const auto dense = parameters("dense", "glorot_uniform", {20, 1, 1});
  CHECK(dense[0].shape == std::vector<std::int64_t>{8, 20});
  CHECK(dense[0].fan_in == 20);
  CHECK(dense[0].fan_out == 8);
  CHECK(dense[1].initializer == Initializer::zeros);
}

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "tests/layers/layer_run.h"
#include "tests/layers/numerical_gradient.h"

using namespace lenet_flow;
using namespace lenet_flow::test;

namespace {

constexpr int generated_cases = 40;

/// All cases of a type; a type without a reference fails the test and has none.
std::vector<LayerCase> cases_of(const LayerType& type) {
  const Reference* reference = find_reference(type.name);
  if (!reference) {
    FAIL_CHECK("layer '", type.name, "' has no reference; write tests/layers/reference/", type.name, ".cpp");
    return {};
  }
  std::vector<LayerCase> cases = generate_cases(type, generated_cases);
  CHECK_MESSAGE(cases.size() >= generated_cases / 2, "hardly any drawn attributes of ", type.name, " fit its shapes");
  for (const ChosenCase& chosen : reference->cases)
    cases.push_back(make_case(type, chosen.attributes, chosen.inputs, chosen.images));
  return cases;
}

template <typename Body>
void for_each_case(Body&& body) {
  for (const LayerType& type : layer_types())
    for (const LayerCase& layer_case : cases_of(type)) {
      INFO(layer_case.text);
      body(layer_case, *find_reference(type.name));
    }
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0);
}

bool same_bits(const LayerResults& a, const LayerResults& b) {
  const auto all = [](const std::vector<std::vector<float>>& x, const std::vector<std::vector<float>>& y) {
    return std::equal(x.begin(), x.end(), y.begin(), y.end(),
                      [](const auto& left, const auto& right) { return same_bits(left, right); });
  };
  return same_bits(a.output, b.output) && all(a.input_gradients, b.input_gradients) &&
         all(a.parameter_gradients, b.parameter_gradients) && same_bits(a.statistics, b.statistics) &&
         all(a.folded, b.folded);
}

/// Empty where every |got - expected| <= tolerance * (1 + greatest |expected|), otherwise the first that is not.
std::string mismatch(const std::vector<float>& got, const std::vector<double>& expected, double tolerance) {
  if (got.size() != expected.size()) return fmt::format("{} elements instead of {}", got.size(), expected.size());
  double greatest = 0;
  for (const double value : expected) greatest = std::max(greatest, std::abs(value));
  for (std::size_t i = 0; i < got.size(); ++i)
    if (!(std::abs(static_cast<double>(got[i]) - expected[i]) <= tolerance * (1 + greatest)))
      return fmt::format("element {} is {}, expected {}", i, got[i], expected[i]);
  return {};
}

void check_against_numerical(NumericalGradient& numerical, std::size_t which, const std::vector<float>& gradient,
                             double tolerance, std::size_t samples) {
  double greatest = 0, sum = 0;
  for (const float value : gradient) {
    greatest = std::max(greatest, std::abs(static_cast<double>(value)));
    sum += std::abs(static_cast<double>(value));
  }
  CHECK(std::isfinite(sum));
  const std::size_t stride = std::max<std::size_t>(1, gradient.size() / samples);
  for (std::size_t element = 0; element < gradient.size(); element += stride) {
    const double expected = numerical.derivative(which, element);
    if (std::abs(expected - static_cast<double>(gradient[element])) > tolerance * (1 + greatest)) {
      const std::string what = which < numerical.inputs() ? "input" : "parameter";
      FAIL_CHECK(what, " ", which, ", element ", element, ": gradient ", gradient[element], ", expected ", expected);
      return;
    }
  }
  // All elements at once, with signs that do not repeat.
  std::vector<double> direction(gradient.size());
  double along = 0;
  for (std::size_t i = 0; i < direction.size(); ++i) {
    direction[i] = (i * 2654435761u >> 16 & 1) ? 1.0 : -0.5;
    along += direction[i] * static_cast<double>(gradient[i]);
  }
  CHECK(std::abs(numerical.derivative(which, direction) - along) <= tolerance * (1 + greatest + 0.1 * sum));
}

}  // namespace

TEST_CASE("the output is the reference's, in training and when inferring") {
  for (DeviceUnderTest& under_test : devices_under_test()) {
    INFO(under_test.name);
    for_each_case([&](const LayerCase& layer_case, const Reference& reference) {
      for (const Mode mode : {Mode::train, Mode::infer}) {
        const LayerData data = make_data(layer_case, mode);
        const NumericalGradient expected(layer_case, data, reference);
        const LayerResults results = run_layer(layer_case, data, under_test, {.backward = false});
        CHECK(expected.output().shape == layer_case.output);
        CHECK(mismatch(results.output, expected.output().data, layer_case.layer->tolerance()) == "");
      }
    });
  }
}

TEST_CASE("I and W are the derivatives of the reference") {
  for (DeviceUnderTest& under_test : devices_under_test()) {
    INFO(under_test.name);
    for_each_case([&](const LayerCase& layer_case, const Reference& reference) {
      const LayerData data = make_data(layer_case, Mode::train);
      const LayerResults results = run_layer(layer_case, data, under_test);
      NumericalGradient numerical(layer_case, data, reference);
      const double tolerance = std::max(layer_case.layer->tolerance(), 1e-7);
      // As many elements as a fixed amount of the reference's work allows.
      const double cost = layer_case.layer->flops(layer_case.inputs).forward * static_cast<double>(layer_case.images) +
                          static_cast<double>(layer_case.images * layer_case.output.elements());
      const auto samples = static_cast<std::size_t>(std::clamp(1e6 / cost, 3.0, 60.0));
      for (std::size_t i = 0; i < layer_case.inputs.size(); ++i) {
        REQUIRE(results.input_gradients[i].size() == data.inputs[i].size());
        check_against_numerical(numerical, i, results.input_gradients[i], tolerance, samples);
      }
      for (std::size_t i = 0; i < layer_case.parameters.size(); ++i)
        if (layer_case.parameters[i].trained)
          check_against_numerical(numerical, layer_case.inputs.size() + i, results.parameter_gradients[i], tolerance,
                                  samples);
    });
  }
}

TEST_CASE("an image's bits do not depend on the micro-batch it is in") {
  for (DeviceUnderTest& under_test : devices_under_test()) {
    INFO(under_test.name);
    for_each_case([&](const LayerCase& layer_case, const Reference& reference) {
      const Mode mode = reference.mixes_images ? Mode::infer : Mode::train;
      const Actions actions{.backward = !reference.mixes_images};
      const LayerData data = make_data(layer_case, mode);
      const LayerResults all = run_layer(layer_case, data, under_test, actions);
      std::vector<std::int64_t> backwards(static_cast<std::size_t>(layer_case.images));
      std::iota(backwards.rbegin(), backwards.rend(), 0);
      std::vector<std::int64_t> some(backwards.begin(), backwards.begin() + (layer_case.images + 1) / 2);
      for (const auto& which : {backwards, some, std::vector<std::int64_t>{layer_case.images / 2}}) {
        const LayerResults part = run_layer(layer_case, pick_images(layer_case, data, which), under_test, actions);
        LayerData from_all = data;  // what the same images got among all of them
        from_all.inputs = all.input_gradients;
        from_all.output_gradient = all.output;
        if (from_all.inputs.empty()) from_all.inputs = data.inputs;
        const LayerData expected = pick_images(layer_case, from_all, which);
        CHECK(same_bits(part.output, expected.output_gradient));
        for (std::size_t i = 0; i < part.input_gradients.size(); ++i)
          CHECK(same_bits(part.input_gradients[i], expected.inputs[i]));
      }
    });
  }
}

TEST_CASE("bits do not depend on the number of cores, nor on the time") {
  std::vector<DeviceUnderTest> devices = devices_under_test();
  for_each_case([&](const LayerCase& layer_case, const Reference&) {
    const LayerData data = make_data(layer_case, Mode::train);
    std::map<DeviceKind, LayerResults> first;
    for (DeviceUnderTest& under_test : devices) {
      INFO(under_test.name);
      for (int time = 0; time < 2; ++time) {
        const LayerResults results = run_layer(layer_case, data, under_test);
        const auto [found, is_first] = first.emplace(under_test.device->kind(), results);
        if (!is_first) CHECK(same_bits(results, found->second));
      }
    }
  });
}

TEST_CASE("a gradient that nobody asks for is left out, and the others stay the same") {
  for (DeviceUnderTest& under_test : devices_under_test()) {
    INFO(under_test.name);
    for (const LayerType& type : layer_types()) {
      for (const LayerCase& layer_case : generate_cases(type, 3)) {
        INFO(layer_case.text);
        const LayerData data = make_data(layer_case, Mode::train);
        const LayerResults all = run_layer(layer_case, data, under_test);
        for (std::size_t skipped = 0; skipped < layer_case.inputs.size(); ++skipped) {
          LayerResults less = run_layer(layer_case, data, under_test, {.skipped_input = skipped});
          CHECK(less.input_gradients[skipped].empty());
          less.input_gradients[skipped] = all.input_gradients[skipped];
          CHECK(same_bits(less, all));
        }
      }
    }
  }
}

TEST_CASE("NaN goes through every layer") {
  for (DeviceUnderTest& under_test : devices_under_test()) {
    INFO(under_test.name);
    for (const LayerType& type : layer_types())
      for (const LayerCase& layer_case : generate_cases(type, 3)) {
        INFO(layer_case.text);
        LayerData data = make_data(layer_case, Mode::infer);
        for (std::vector<float>& input : data.inputs) std::fill(input.begin(), input.end(), std::nanf(""));
        const std::vector<float> output = run_layer(layer_case, data, under_test, {.backward = false}).output;
        const auto lost = std::count_if(output.begin(), output.end(), [](float value) { return !std::isnan(value); });
        // A window may lie in the padding alone.
        const bool padded = layer_case.attributes.has("padding");
        CHECK(lost <= (padded ? static_cast<std::ptrdiff_t>(output.size()) - 1 : 0));
      }
  }
}

TEST_CASE("every type describes itself") {
  for (const LayerType& type : layer_types()) {
    INFO(type.name);
    CHECK(find_layer_type(type.name) == &type);
    CHECK(!type.help.empty());
    CHECK(type.minimum_inputs >= 1);
    CHECK(type.maximum_inputs >= type.minimum_inputs);
    for (const AttributeSpec& spec : type.attributes) {
      INFO(spec.name);
      CHECK(!spec.help.empty());
      CHECK(spec.minimum <= spec.maximum);
      CHECK((spec.kind == AttributeKind::choice) == !spec.choices.empty());
    }
    for (const LayerCase& layer_case : generate_cases(type, 5)) {
      const Flops flops = layer_case.layer->flops(layer_case.inputs);
      CHECK(flops.forward >= 0);
      CHECK(flops.input_gradients >= 0);
      CHECK(flops.parameter_gradients >= 0);
    }
  }
  CHECK(find_layer_type("no such layer") == nullptr);
}

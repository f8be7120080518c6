#include <doctest/doctest.h>
#include <hwy/highway.h>

#include <algorithm>
#include <functional>
#include <string>

#include "layers/cpu/vector_math.h"
#include "layers/registry.h"
#include "tests/layers/support.h"

using namespace lenet_flow;
using namespace lenet_flow::test;

namespace {

/// One activation on a queue: outputs, and gradients for given output gradients.
struct Result {
  std::vector<float> outputs, gradients;
};

Result run(Layer& layer, const Shape& shape, std::span<const float> inputs, std::span<const float> output_gradients,
           CpuQueue& queue) {
  const auto images = static_cast<std::int64_t>(inputs.size()) / shape.elements();
  const auto kernel = layer.make_kernel(DeviceKind::cpu, "a", {&shape, 1}, layer.output_shape({&shape, 1}));
  Result result{std::vector<float>(inputs.size(), 123.0f), std::vector<float>(inputs.size(), 123.0f)};
  std::vector<float> in(inputs.begin(), inputs.end()), gradient(output_gradients.begin(), output_gradients.end());
  std::vector<double> workspace(kernel->workspace_bytes(images, queue.cores()) / sizeof(double) + 1);
  const Tensor input{in.data(), shape, images}, input_gradient{result.gradients.data(), shape, images};
  KernelCall call;
  call.queue = &queue;
  call.images = images;
  call.inputs = {&input, 1};
  call.output = {result.outputs.data(), shape, images};
  call.workspace = std::as_writable_bytes(std::span(workspace));
  kernel->forward(call);
  call.output_gradient = {gradient.data(), shape, images};
  call.input_gradients = {&input_gradient, 1};
  kernel->input_gradients(call);
  CHECK(same_bits(in, inputs));
  return result;
}

std::unique_ptr<Layer> make(const char* type) {
  const LayerType* found = find_layer_type(type);
  REQUIRE(found != nullptr);
  return found->make(attributes(found->attributes));
}

/// An activation, with function and derivative in extended precision.
struct Activation {
  const char* name;
  std::function<long double(long double)> value, derivative;
};

long double normal_distribution(long double x) { return 0.5L * std::erfc(-x / std::sqrt(2.0L)); }
long double normal_density(long double x) { return std::exp(-0.5L * x * x) / std::sqrt(2.0L * std::acos(-1.0L)); }
long double logistic(long double x) { return 1.0L / (1.0L + std::exp(-x)); }

const std::vector<Activation>& activations() {
  static const std::vector<Activation> all{
      {"relu", [](long double x) { return x > 0 ? x : 0; }, [](long double x) { return x > 0 ? 1 : 0; }},
      {"leaky_relu", [](long double x) { return x > 0 ? x : 0.01L * x; },
       [](long double x) { return x > 0 ? 1 : 0.01L; }},
      {"tanh", [](long double x) { return std::tanh(x); },
       [](long double x) { return 1 - std::tanh(x) * std::tanh(x); }},
      {"sigmoid", logistic, [](long double x) { return logistic(x) * logistic(-x); }},
      {"gelu", [](long double x) { return x * normal_distribution(x); },
       [](long double x) { return normal_distribution(x) + x * normal_density(x); }},
  };
  return all;
}

/// Numbers of every size and sign, subnormal ones, zeros and infinities.
std::vector<float> all_over() {
  std::vector<float> values{0.0f, -0.0f, infinity, -infinity};
  for (std::uint64_t bits = 0; bits < (1ull << 32); bits += 65521)
    if (const auto value = std::bit_cast<float>(static_cast<std::uint32_t>(bits)); value == value)
      values.push_back(value);
  for (float x = -20.0f; x < 20.0f; x += 0.0037f) values.push_back(x);
  return values;
}

/// Distance to the next float away from zero.
double unit_in_last_place(long double value) {
  const auto size = static_cast<float>(std::abs(value));
  return static_cast<double>(std::nextafter(size, infinity)) - size;
}

using ArrayFunction = void (*)(const float*, float*, std::int64_t);

struct VectorFunction {
  const char* name;
  ArrayFunction function;
  std::function<long double(long double)> reference;
};

const std::vector<VectorFunction>& vector_functions() {
  static const std::vector<VectorFunction> all{
      {"exp", vector_math::exp, [](long double x) { return std::exp(x); }},
      {"tanh", vector_math::tanh, activations()[2].value},
      {"sigmoid", vector_math::sigmoid, activations()[3].value},
      {"gelu", vector_math::gelu, activations()[4].value},
      {"gelu_derivative", vector_math::gelu_derivative, activations()[4].derivative},
  };
  return all;
}

/// Runs `body` once with every instruction set that this CPU and the build have. Not with Highway's last resort, one
/// number at a time, which turns an infinite result into the largest float: CPUs without SSSE3 or NEON are history.
void on_every_instruction_set(const std::function<void(const std::string&)>& body) {
  for (const std::int64_t target : hwy::SupportedAndGeneratedTargets()) {
    if (target == HWY_SCALAR || target == HWY_EMU128) continue;
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
    body(hwy::TargetName(target));
  }
  hwy::SetSupportedTargetsForTest(0);
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
}

}  // namespace

TEST_CASE("vector functions are within one unit in the last place over all floats, on every instruction set") {
  const std::vector<float> values = all_over();
  on_every_instruction_set([&](const std::string& target) {
    for (const VectorFunction& function : vector_functions()) {
      CAPTURE(target);
      CAPTURE(std::string(function.name));
      std::vector<float> results(values.size());
      function.function(values.data(), results.data(), static_cast<std::int64_t>(values.size()));
      const bool derivative = std::string(function.name) == "gelu_derivative";
      std::size_t wrong = 0;
      float first_wrong = 0;
      for (std::size_t i = 0; i < values.size(); ++i) {
        const long double x = values[i], expected = function.reference(x);
        double bound = unit_in_last_place(expected);
        // A sum of two terms of opposite signs: exact to the size of the terms.
        if (derivative && x < 0) bound = unit_in_last_place(std::max(1.0L, -x) * normal_distribution(x)) + bound;
        const bool good = expected != expected ? results[i] != results[i]
                          : std::abs(expected) > std::numeric_limits<float>::max()
                              ? results[i] == static_cast<float>(expected)
                              : std::abs(static_cast<double>(results[i] - expected)) <= bound;
        if (!good && wrong++ == 0) first_wrong = values[i];
      }
      CAPTURE(first_wrong);
      CHECK(wrong == 0);
    }
  });
}

TEST_CASE("an element's bits do not depend on its place, its neighbours or their number") {
  const std::vector<float> values = normal_values(83, 4.0f, 1);
  on_every_instruction_set([&](const std::string& target) {
    for (const VectorFunction& function : vector_functions()) {
      CAPTURE(target);
      CAPTURE(std::string(function.name));
      std::vector<float> alone(values.size());
      for (std::size_t i = 0; i < values.size(); ++i) function.function(&values[i], &alone[i], 1);
      bool same = true;
      for (std::size_t begin = 0; begin < 20; ++begin)
        for (std::size_t count = 1; begin + count <= values.size(); ++count) {
          std::vector<float> together(values.size(), -7.0f);
          function.function(&values[begin], &together[begin], static_cast<std::int64_t>(count));
          same = same && same_bits(std::span(together).subspan(begin, count), std::span(alone).subspan(begin, count));
          same = same && std::count(together.begin(), together.end(), -7.0f) ==
                             static_cast<std::ptrdiff_t>(values.size() - count);
        }
      CHECK(same);
    }
  });
}

TEST_CASE("NaN stays NaN in every lane and every layer") {
  on_every_instruction_set([&](const std::string& target) {
    for (const VectorFunction& function : vector_functions()) {
      CAPTURE(target);
      CAPTURE(std::string(function.name));
      for (std::size_t place = 0; place < 21; ++place) {
        std::vector<float> values(21, 0.5f);
        values[place] = not_a_number;
        function.function(values.data(), values.data(), 21);
        CHECK(std::count_if(values.begin(), values.end(), [](float x) { return x != x; }) == 1);
        CHECK(values[place] != values[place]);
      }
    }
  });
  SerialQueue queue;
  for (const char* name : {"relu", "leaky_relu", "tanh", "sigmoid", "gelu", "softmax"}) {
    CAPTURE(std::string(name));
    const auto layer = make(name);
    const float values[] = {1.0f, not_a_number, -1.0f}, gradients[] = {not_a_number, 1.0f, 1.0f};
    const Result result = run(*layer, {3}, values, gradients, queue);
    CHECK(result.outputs[1] != result.outputs[1]);
    CHECK(result.gradients[0] != result.gradients[0]);
  }
}

TEST_CASE("activations and their gradients agree with extended precision") {
  SerialQueue queue;
  std::vector<float> values = normal_values(1003, 3.0f, 2);
  for (const float special : {0.0f, -0.0f, 1e-40f, -1e-40f, 1e30f, -1e30f, 100.0f, -100.0f, 0.75f, -0.75f})
    values.push_back(special);
  const std::vector<float> gradients = normal_values(values.size(), 1.0f, 3);
  for (const Activation& activation : activations()) {
    CAPTURE(std::string(activation.name));
    const auto layer = make(activation.name);
    const Shape shape{static_cast<std::int64_t>(values.size())};
    const Result result = run(*layer, shape, values, gradients, queue);
    double worst_output = 0, worst_gradient = 0;
    for (std::size_t i = 0; i < values.size(); ++i) {
      const auto y = static_cast<double>(activation.value(values[i]));
      const auto dx = static_cast<double>(gradients[i] * activation.derivative(values[i]));
      worst_output = std::max(worst_output, std::abs(result.outputs[i] - y) / (1 + std::abs(y)));
      worst_gradient = std::max(worst_gradient, std::abs(result.gradients[i] - dx) / (1 + std::abs(dx)));
    }
    CHECK(worst_output < 2e-7);
    CHECK(worst_gradient < 5e-7);
  }
}

TEST_CASE("derivatives are those of the functions") {
  for (const Activation& activation : activations()) {
    CAPTURE(std::string(activation.name));
    for (long double x : {-6.1L, -2.0L, -0.8L, -0.1L, 0.2L, 1.0L, 2.5L, 7.0L}) {
      const long double step = 1e-5L;
      const long double numerical = (activation.value(x + step) - activation.value(x - step)) / (2 * step);
      CHECK(std::abs(static_cast<double>(numerical - activation.derivative(x))) < 1e-9);
    }
  }
}

TEST_CASE("limits") {
  SerialQueue queue;
  const float values[] = {infinity, -infinity, 0.0f}, gradients[] = {1.0f, 1.0f, 1.0f};
  const auto outputs = [&](const char* name) { return run(*make(name), {3}, values, gradients, queue); };
  CHECK(outputs("relu").outputs == std::vector<float>{infinity, 0.0f, 0.0f});
  CHECK(outputs("relu").gradients == std::vector<float>{1.0f, 0.0f, 0.0f});
  CHECK(outputs("leaky_relu").outputs == std::vector<float>{infinity, -infinity, 0.0f});
  CHECK(outputs("leaky_relu").gradients == std::vector<float>{1.0f, 0.01f, 0.01f});
  CHECK(outputs("tanh").outputs == std::vector<float>{1.0f, -1.0f, 0.0f});
  CHECK(outputs("tanh").gradients == std::vector<float>{0.0f, 0.0f, 1.0f});
  CHECK(outputs("sigmoid").outputs == std::vector<float>{1.0f, 0.0f, 0.5f});
  CHECK(outputs("sigmoid").gradients == std::vector<float>{0.0f, 0.0f, 0.25f});
  CHECK(outputs("gelu").outputs[0] == infinity);
  CHECK(outputs("gelu").outputs[1] != outputs("gelu").outputs[1]);
}

TEST_CASE("leaky_relu takes its slope") {
  SerialQueue queue;
  const LayerType* type = find_layer_type("leaky_relu");
  const auto layer = type->make(attributes(type->attributes, {{"slope", 0.25}}));
  const float values[] = {-2.0f, 3.0f}, gradients[] = {8.0f, 5.0f};
  const Result result = run(*layer, {2}, values, gradients, queue);
  CHECK(result.outputs == std::vector<float>{-0.5f, 3.0f});
  CHECK(result.gradients == std::vector<float>{2.0f, 5.0f});
}

TEST_CASE("any number of cores and any cut into micro-batches give the same bits") {
  SerialQueue serial;
  CuttingQueue cutting;
  for (const Shape& shape : {Shape{10, 1, 1}, Shape{7, 5, 3}, Shape{3, 41, 37}}) {
    const std::int64_t images = std::max<std::int64_t>(9, 9000 / shape.elements());
    const auto elements = static_cast<std::size_t>(images * shape.elements());
    const std::vector<float> values = normal_values(elements, 3.0f, 4), gradients = normal_values(elements, 1.0f, 5);
    for (const char* name : {"relu", "leaky_relu", "tanh", "sigmoid", "gelu", "softmax"}) {
      CAPTURE(std::string(name));
      CAPTURE(shape.text());
      const auto layer = make(name);
      const Result whole = run(*layer, shape, values, gradients, serial);
      const Result cut = run(*layer, shape, values, gradients, cutting);
      CHECK(same_bits(whole.outputs, cut.outputs));
      CHECK(same_bits(whole.gradients, cut.gradients));
      const auto first = static_cast<std::size_t>(4 * shape.elements());
      const auto some = static_cast<std::size_t>(3 * shape.elements());
      const Result part =
          run(*layer, shape, std::span(values).subspan(first, some), std::span(gradients).subspan(first, some), serial);
      CHECK(same_bits(part.outputs, std::span(whole.outputs).subspan(first, some)));
      CHECK(same_bits(part.gradients, std::span(whole.gradients).subspan(first, some)));
    }
  }
}

TEST_CASE("softmax agrees with extended precision at every position") {
  SerialQueue queue;
  const Shape shape{11, 3, 2};
  const std::int64_t images = 3, positions = 6;
  for (const float scale : {0.1f, 3.0f, 60.0f, 1e20f}) {
    CAPTURE(scale);
    const auto elements = static_cast<std::size_t>(images * shape.elements());
    const std::vector<float> x = normal_values(elements, scale, 6), dy = normal_values(elements, 1.0f, 7);
    const Result result = run(*make("softmax"), shape, x, dy, queue);
    for (std::int64_t image = 0; image < images; ++image)
      for (std::int64_t position = 0; position < positions; ++position) {
        const auto at = [&](std::int64_t c) {
          return static_cast<std::size_t>((image * shape.channels + c) * positions + position);
        };
        long double largest = -INFINITY, sum = 0, product = 0;
        for (std::int64_t c = 0; c < 11; ++c) largest = std::max<long double>(largest, x[at(c)]);
        for (std::int64_t c = 0; c < 11; ++c) sum += std::exp(x[at(c)] - largest);
        const auto y = [&](std::int64_t c) { return std::exp(x[at(c)] - largest) / sum; };
        for (std::int64_t c = 0; c < 11; ++c) product += dy[at(c)] * y(c);
        for (std::int64_t c = 0; c < 11; ++c) {
          CHECK(std::abs(static_cast<double>(result.outputs[at(c)] - y(c))) < 2e-7);
          CHECK(std::abs(static_cast<double>(result.gradients[at(c)] - y(c) * (dy[at(c)] - product))) < 2e-6);
        }
      }
  }
}

TEST_CASE("softmax: one NaN spoils its own position and no other") {
  SerialQueue queue;
  const float values[] = {1.0f, 2.0f, 3.0f, not_a_number}, gradients[] = {1.0f, 1.0f, 1.0f, 1.0f};
  const Result result = run(*make("softmax"), {2, 1, 2}, values, gradients, queue);
  CHECK(result.outputs[0] + result.outputs[2] == doctest::Approx(1.0));
  CHECK(result.outputs[1] != result.outputs[1]);
  CHECK(result.outputs[3] != result.outputs[3]);
}

TEST_CASE("a sigmoid before binary_cross_entropy passes its input through, and before any other loss it does not") {
  SerialQueue queue;
  const float values[] = {3.0f, -0.25f, 1e30f}, gradients[] = {0.5f, -7.0f, 2.0f};
  const Shape shape{3};
  const auto layer = make("sigmoid");
  CHECK_FALSE(layer->fold_into_loss("mean_squared_error"));
  CHECK(run(*layer, shape, values, gradients, queue).outputs[0] < 1.0f);
  CHECK(layer->flops({&shape, 1}).forward > 0);
  CHECK(layer->fold_into_loss("binary_cross_entropy"));
  const Result folded = run(*layer, shape, values, gradients, queue);
  CHECK(same_bits(folded.outputs, values));
  CHECK(same_bits(folded.gradients, gradients));
  CHECK(layer->flops({&shape, 1}).forward == 0);
  for (const char* other : {"relu", "tanh", "softmax"})
    CHECK_FALSE(make(other)->fold_into_loss("binary_cross_entropy"));
}

TEST_CASE("a gradient that nobody asks for is not computed") {
  SerialQueue queue;
  for (const char* name : {"relu", "leaky_relu", "tanh", "sigmoid", "gelu", "softmax"}) {
    const Shape shape{4};
    const auto kernel = make(name)->make_kernel(DeviceKind::cpu, "a", {&shape, 1}, shape);
    std::vector<float> values(4, 1.0f);
    std::vector<double> workspace(kernel->workspace_bytes(1, 1) / sizeof(double));
    const Tensor tensor{values.data(), shape, 1}, none{nullptr, shape, 1};
    KernelCall call;
    call.queue = &queue;
    call.images = 1;
    call.inputs = {&tensor, 1};
    call.output = call.output_gradient = tensor;
    call.workspace = std::as_writable_bytes(std::span(workspace));
    call.input_gradients = {&none, 1};
    CHECK_NOTHROW(kernel->input_gradients(call));
    CHECK(make(name)->make_kernel(DeviceKind::cuda, "a", {&shape, 1}, shape) == nullptr);
  }
}

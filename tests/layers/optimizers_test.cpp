#include <doctest/doctest.h>

#include <algorithm>
#include <string>

#include "layers/registry.h"
#include "tests/layers/device_values.h"
#include "tests/layers/support.h"

using namespace lenet_flow;
using namespace lenet_flow::test;

namespace {

using Given = std::initializer_list<std::pair<const char*, AttributeValue>>;

std::unique_ptr<Optimizer> make(const char* type, Given given = {}) {
  const OptimizerType* found = find_optimizer_type(type);
  REQUIRE(found != nullptr);
  return found->make(attributes(found->attributes, given));
}

/// A parameter with its gradient and states, as the engine holds them.
struct Parameter {
  std::vector<float> values, gradient;
  std::vector<std::vector<float>> states;

  Parameter(std::vector<float> start, const Optimizer& optimizer)
      : values(std::move(start)), gradient(values.size()), states(optimizer.state_names().size()) {
    for (auto& state : states) state.assign(values.size(), 0.0f);
  }

  /// In the memory of the device under test; on its queue, or another of its kind.
  void update(const Optimizer& optimizer, std::uint64_t step, double learning_rate, WorkQueue* queue = nullptr) {
    update_all({this}, optimizer, step, learning_rate, queue);
  }

  /// As one call.
  static void update_all(const std::vector<Parameter*>& parameters, const Optimizer& optimizer, std::uint64_t step,
                         double learning_rate, WorkQueue* queue = nullptr);
};

/// A Parameter in the memory of the device under test.
struct ParameterThere {
  DeviceValues<float> values, gradient;
  std::vector<DeviceValues<float>> states;
  std::vector<ParameterView> views;

  explicit ParameterThere(const Parameter& parameter)
      : values(device_under_test(), parameter.values), gradient(device_under_test(), parameter.gradient) {
    for (const auto& state : parameter.states) {
      states.emplace_back(device_under_test(), state);
      views.push_back(states.back().view());
    }
  }
};

void Parameter::update_all(const std::vector<Parameter*>& parameters, const Optimizer& optimizer, std::uint64_t step,
                           double learning_rate, WorkQueue* queue) {
  std::vector<ParameterThere> there;
  for (const Parameter* parameter : parameters) there.emplace_back(*parameter);
  std::vector<UpdateCall> calls;
  for (const ParameterThere& parameter : there)
    calls.push_back({.queue = queue ? queue : &device_under_test().queue(),
                     .learning_rate = learning_rate,
                     .step = step,
                     .parameter = parameter.values.view(),
                     .gradient = parameter.gradient.view(),
                     .states = parameter.views});
  optimizer.update_all(device_under_test().kind(), calls);
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    there[i].values.read(parameters[i]->values);
    for (std::size_t state = 0; state < there[i].states.size(); ++state)
      there[i].states[state].read(parameters[i]->states[state]);
  }
}

/// The algorithms as torch.optim's documentation prints them, one element, in double precision.
struct TorchSgd {
  double momentum = 0, weight_decay = 0;
  bool nesterov = false;
  double buffer = 0;

  double step(double theta, double g, double gamma, int t) {
    if (weight_decay != 0) g = g + weight_decay * theta;
    if (momentum != 0) {
      buffer = t > 1 ? momentum * buffer + g : g;
      g = nesterov ? g + momentum * buffer : buffer;
    }
    return theta - gamma * g;
  }
};

struct TorchAdam {
  double beta1, beta2, eps, weight_decay;
  bool decoupled;
  double m = 0, v = 0;

  double step(double theta, double g, double gamma, int t) {
    if (decoupled)
      theta = theta - gamma * weight_decay * theta;
    else
      g = g + weight_decay * theta;
    m = beta1 * m + (1 - beta1) * g;
    v = beta2 * v + (1 - beta2) * g * g;
    double m_hat = m, v_hat = v, power1 = 1, power2 = 1;
    for (int i = 0; i < t; ++i) power1 *= beta1, power2 *= beta2;
    m_hat /= 1 - power1;
    v_hat /= 1 - power2;
    return theta - gamma * m_hat / (std::sqrt(v_hat) + eps);
  }
};

/// Takes `steps` steps with gradients that depend on the parameter (of a curved valley, with noise) beside a reference;
/// returns the largest error over the largest way that an element went.
template <typename Torch>
double error_after(int steps, const Optimizer& optimizer, Torch start, double learning_rate) {
  constexpr std::size_t elements = 37;
  Parameter parameter(normal_values(elements, 1.0f, 20), optimizer);
  const std::vector<float> first = parameter.values;
  std::vector<Torch> torch(elements, start);
  std::vector<double> reference(first.begin(), first.end());
  double error = 0, way = 0;
  for (int t = 1; t <= steps; ++t) {
    const std::vector<float> noise = normal_values(elements, 0.3f, static_cast<unsigned>(100 + t));
    const double rate = learning_rate / (1 + 0.01 * t);  // a schedule changes it from step to step
    for (std::size_t i = 0; i < elements; ++i) {
      const double curvature = 0.2 + 0.1 * static_cast<double>(i % 7);
      parameter.gradient[i] = static_cast<float>(curvature * parameter.values[i] + noise[i]);
      reference[i] = torch[i].step(reference[i], curvature * reference[i] + noise[i], rate, t);
    }
    parameter.update(optimizer, static_cast<std::uint64_t>(t), rate);
    for (std::size_t i = 0; i < elements; ++i) {
      error = std::max(error, std::abs(parameter.values[i] - reference[i]));
      way = std::max(way, std::abs(reference[i] - first[i]));
    }
  }
  return error / way;
}

}  // namespace

TEST_CASE("sgd follows PyTorch's over many steps") {
  CHECK(error_after(300, *make("sgd"), TorchSgd{}, 0.05) < 1e-6);
  CHECK(error_after(300, *make("sgd", {{"weight_decay", 0.03}}), TorchSgd{.weight_decay = 0.03}, 0.05) < 1e-6);
  CHECK(error_after(300, *make("sgd", {{"momentum", 0.9}}), TorchSgd{.momentum = 0.9}, 0.05) < 1e-5);
  CHECK(error_after(300, *make("sgd", {{"momentum", 0.9}, {"weight_decay", 0.03}}),
                    TorchSgd{.momentum = 0.9, .weight_decay = 0.03}, 0.05) < 1e-5);
  CHECK(error_after(300, *make("sgd", {{"momentum", 0.8}, {"nesterov", true}, {"weight_decay", 0.01}}),
                    TorchSgd{.momentum = 0.8, .weight_decay = 0.01, .nesterov = true}, 0.05) < 1e-5);
}

TEST_CASE("adam and adamw follow PyTorch's over many steps") {
  const auto torch = [](double weight_decay, bool decoupled) {
    return TorchAdam{0.9, 0.999, 1e-8, weight_decay, decoupled};
  };
  CHECK(error_after(300, *make("adam"), torch(0, false), 0.01) < 1e-5);
  CHECK(error_after(300, *make("adam", {{"weight_decay", 0.1}}), torch(0.1, false), 0.01) < 1e-5);
  CHECK(error_after(300, *make("adamw"), torch(0.01, true), 0.01) < 1e-5);
  CHECK(error_after(300, *make("adamw", {{"weight_decay", 0.5}}), torch(0.5, true), 0.01) < 1e-5);
  CHECK(error_after(300, *make("adam", {{"beta1", 0.5}, {"beta2", 0.9}, {"eps", 1e-3}}),
                    TorchAdam{0.5, 0.9, 1e-3, 0, false}, 0.01) < 1e-5);
  // The references tell the variants apart.
  CHECK(error_after(300, *make("adam", {{"weight_decay", 0.1}}), torch(0.1, true), 0.01) > 1e-3);
  CHECK(error_after(300, *make("adamw", {{"weight_decay", 0.1}}), torch(0.1, false), 0.01) > 1e-3);
}

TEST_CASE("defaults are PyTorch's") {
  CHECK(make("sgd")->learning_rate() == 0.01);
  CHECK(make("adam")->learning_rate() == 0.001);
  CHECK(make("adamw")->learning_rate() == 0.001);
  const auto number = [](const char* type, const char* name) {
    return attributes(find_optimizer_type(type)->attributes).number(name);
  };
  CHECK(number("sgd", "momentum") == 0);
  CHECK(number("sgd", "weight_decay") == 0);
  CHECK(number("adam", "weight_decay") == 0);
  CHECK(number("adamw", "weight_decay") == 0.01);
  for (const char* type : {"adam", "adamw"}) {
    CHECK(number(type, "beta1") == 0.9);
    CHECK(number(type, "beta2") == 0.999);
    CHECK(number(type, "eps") == 1e-8);
  }
}

TEST_CASE("steps computed by hand") {
  {
    const auto optimizer = make("sgd", {{"momentum", 0.5}});
    Parameter parameter({1.0f}, *optimizer);
    parameter.gradient = {2.0f};
    parameter.update(*optimizer, 1, 0.25);
    CHECK(parameter.values[0] == 0.5f);  // the first step's momentum is the gradient
    CHECK(parameter.states[0][0] == 2.0f);
    parameter.update(*optimizer, 2, 0.25);
    CHECK(parameter.values[0] == -0.25f);  // 0.5 - 0.25 (0.5 * 2 + 2)
  }
  {
    const auto optimizer = make("adam");
    Parameter parameter({1.0f, 1.0f}, *optimizer);
    parameter.gradient = {1e-3f, -250.0f};
    parameter.update(*optimizer, 1, 0.125);
    CHECK(parameter.values[0] ==
          doctest::Approx(0.875).epsilon(1e-5));  // the first step is the learning rate, whatever
    CHECK(parameter.values[1] == doctest::Approx(1.125).epsilon(1e-6));  // the gradient's size
  }
  {
    const auto optimizer = make("adamw", {{"weight_decay", 0.5}});
    Parameter parameter({2.0f}, *optimizer);
    parameter.update(*optimizer, 1, 0.1);  // no gradient: decay alone
    CHECK(parameter.values[0] == doctest::Approx(1.9).epsilon(1e-7));
  }
}

TEST_CASE("state tensors, by name") {
  CHECK(make("sgd")->state_names().empty());
  CHECK(make("sgd", {{"nesterov", true}})->state_names().empty());
  CHECK(make("sgd", {{"momentum", 0.9}})->state_names() == std::vector<std::string>{"momentum"});
  CHECK(make("adam")->state_names() == std::vector<std::string>{"first_moment", "second_moment"});
  CHECK(make("adamw")->state_names() == std::vector<std::string>{"first_moment", "second_moment"});
}

TEST_CASE("an element's bits do not depend on its place, on the cores or on its neighbours") {
  constexpr std::size_t elements = 20011;
  CuttingQueue cutting;
  WorkQueue* cut_queue = device_under_test().kind() == DeviceKind::cpu ? &cutting : nullptr;
  const std::vector<float> start = normal_values(elements, 1.0f, 30);
  const auto optimizers = {make("sgd", {{"weight_decay", 0.1}}),
                           make("sgd", {{"momentum", 0.9}, {"nesterov", true}, {"weight_decay", 0.1}}),
                           make("adam", {{"weight_decay", 0.1}}), make("adamw")};
  for (const auto& optimizer : optimizers) {
    Parameter whole(start, *optimizer), cut(start, *optimizer);
    Parameter part(std::vector<float>(start.begin() + 5, start.begin() + 12), *optimizer);
    for (std::uint64_t step = 1; step <= 5; ++step) {
      whole.gradient = cut.gradient = normal_values(elements, 1.0f, static_cast<unsigned>(step));
      part.gradient.assign(whole.gradient.begin() + 5, whole.gradient.begin() + 12);
      whole.update(*optimizer, step, 0.01);
      cut.update(*optimizer, step, 0.01, cut_queue);
      part.update(*optimizer, step, 0.01);
    }
    CHECK(same_bits(whole.values, cut.values));
    CHECK(same_bits(part.values, std::span(whole.values).subspan(5, 7)));
    for (std::size_t i = 0; i < whole.states.size(); ++i) CHECK(same_bits(whole.states[i], cut.states[i]));
  }
}

TEST_CASE("NaN in a gradient reaches the parameter") {
  for (const char* name : {"sgd", "adam", "adamw"}) {
    const auto optimizer = make(name);
    Parameter parameter({1.0f, 2.0f}, *optimizer);
    parameter.gradient = {not_a_number, 0.0f};
    parameter.update(*optimizer, 1, 0.1);
    CHECK(parameter.values[0] != parameter.values[0]);
    CHECK(std::isfinite(parameter.values[1]));
  }
}

TEST_CASE("many parameters in one call get what each gets alone") {
  const auto optimizers = {make("sgd"), make("sgd", {{"momentum", 0.9}}), make("adam", {{"weight_decay", 0.1}})};
  for (const auto& optimizer : optimizers) {
    std::vector<Parameter> together, alone;
    for (unsigned i = 0; i < 101; ++i) {
      together.emplace_back(normal_values(1 + 37 * i % 700, 1.0f, i), *optimizer);
      together.back().gradient = normal_values(together.back().values.size(), 1.0f, 1000 + i);
    }
    alone = together;
    std::vector<Parameter*> all;
    for (Parameter& parameter : together) all.push_back(&parameter);
    for (std::uint64_t step = 1; step <= 2; ++step) {
      Parameter::update_all(all, *optimizer, step, 0.01);
      for (Parameter& parameter : alone) parameter.update(*optimizer, step, 0.01);
    }
    for (std::size_t i = 0; i < alone.size(); ++i) {
      CHECK(same_bits(together[i].values, alone[i].values));
      for (std::size_t state = 0; state < alone[i].states.size(); ++state)
        CHECK(same_bits(together[i].states[state], alone[i].states[state]));
    }
  }
}

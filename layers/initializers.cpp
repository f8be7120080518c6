#include "layers/initializers.h"

#include <cmath>

#include "devices/random.h"

namespace lenet_flow {
namespace {

struct NamedInitializer {
  const char* name;
  Initializer initializer;
};

constexpr NamedInitializer names[] = {
    {"pytorch", Initializer::pytorch_uniform},       {"he_normal", Initializer::he_normal},
    {"he_uniform", Initializer::he_uniform},         {"glorot_normal", Initializer::glorot_normal},
    {"glorot_uniform", Initializer::glorot_uniform}, {"lecun_normal", Initializer::lecun_normal},
    {"lecun_uniform", Initializer::lecun_uniform},
};

}  // namespace

AttributeSpec initializer_attribute() {
  AttributeSpec spec{.name = "initializer",
                     .kind = AttributeKind::choice,
                     .help = "how the weights start",
                     .default_value = std::string("pytorch")};
  for (const auto& entry : names) spec.choices.push_back(entry.name);
  return spec;
}

Initializer initializer_of(std::string_view name) {
  for (const auto& entry : names)
    if (name == entry.name) return entry.initializer;
  throw std::out_of_range("no initializer '" + std::string(name) + "'");
}

AttributeSpec bias_attribute() {
  return {.name = "bias",
          .kind = AttributeKind::boolean,
          .help = "whether a learned number is added to every output",
          .default_value = true};
}

ParameterSpec bias_spec(std::int64_t outputs, const ParameterSpec& weight) {
  const bool drawn = weight.initializer == Initializer::pytorch_uniform;
  return {.name = "bias",
          .shape = {outputs},
          .initializer = drawn ? Initializer::pytorch_uniform : Initializer::zeros,
          .fan_in = weight.fan_in,
          .fan_out = weight.fan_out};
}

void initialize(const ParameterSpec& spec, std::string_view full_name, std::uint64_t seed, std::span<float> values) {
  const RandomStream stream(seed, 0, 0, full_name);
  const double in = static_cast<double>(spec.fan_in), both = static_cast<double>(spec.fan_in + spec.fan_out);
  const auto fill = [&](auto&& value) {
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = value(i);
  };
  const auto uniform = [&](double bound) {
    fill([&](std::size_t i) { return static_cast<float>((2.0 * stream.uniform(i) - 1.0) * bound); });
  };
  const auto normal = [&](double deviation) {
    fill([&](std::size_t i) { return static_cast<float>(stream.normal(i) * deviation); });
  };
  switch (spec.initializer) {
    case Initializer::zeros: return fill([](std::size_t) { return 0.0f; });
    case Initializer::ones: return fill([](std::size_t) { return 1.0f; });
    case Initializer::pytorch_uniform: return uniform(1.0 / std::sqrt(in));
    case Initializer::he_normal: return normal(std::sqrt(2.0 / in));
    case Initializer::he_uniform: return uniform(std::sqrt(6.0 / in));
    case Initializer::glorot_normal: return normal(std::sqrt(2.0 / both));
    case Initializer::glorot_uniform: return uniform(std::sqrt(6.0 / both));
    case Initializer::lecun_normal: return normal(std::sqrt(1.0 / in));
    case Initializer::lecun_uniform: return uniform(std::sqrt(3.0 / in));
  }
}

}  // namespace lenet_flow

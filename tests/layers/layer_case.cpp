#include "tests/layers/layer_case.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <numeric>
#include <random>

namespace lenet_flow::test {
namespace {

std::string text_of(const AttributeValue& value) {
  struct Print {
    std::string operator()(std::monostate) const { return "none"; }
    std::string operator()(std::int64_t number) const { return std::to_string(number); }
    std::string operator()(double number) const { return fmt::format("{}", number); }
    std::string operator()(bool is) const { return is ? "true" : "false"; }
    std::string operator()(const Extent& extent) const { return fmt::format("[{}, {}]", extent.height, extent.width); }
    std::string operator()(const Padding& padding) const {
      if (padding.rule == Padding::Rule::size) return (*this)(padding.extent);
      return padding.rule == Padding::Rule::same ? "same" : "valid";
    }
    std::string operator()(const std::string& choice) const { return choice; }
    std::string operator()(const std::vector<double>& numbers) const {
      return fmt::format("[{}]", fmt::join(numbers, ", "));
    }
  };
  return std::visit(Print{}, value);
}

class Draw {
 public:
  explicit Draw(std::uint32_t seed) : engine_(seed) {}

  /// Written out, since std's distributions differ between libraries.
  std::int64_t below(std::int64_t bound) { return static_cast<std::int64_t>(engine_()) % bound; }
  std::int64_t from(const std::vector<std::int64_t>& values) {
    return values[static_cast<std::size_t>(below(static_cast<std::int64_t>(values.size())))];
  }
  double uniform() { return static_cast<double>(engine_()) * 0x1p-32; }

  /// Never an end of what is allowed: some are open.
  double number(const AttributeSpec& spec) {
    const double most = std::min(spec.maximum, spec.minimum + 1.0);
    return spec.minimum + (most - spec.minimum) * (0.05 + 0.9 * uniform());
  }

  AttributeValue value(const AttributeSpec& spec) {
    const auto small = [&] {
      const auto lowest = static_cast<std::int64_t>(spec.minimum);
      return std::min(lowest + from({0, 0, 1, 1, 2, 4}), static_cast<std::int64_t>(std::min(spec.maximum, 1e9)));
    };
    switch (spec.kind) {
      case AttributeKind::integer: return small();
      case AttributeKind::number: return number(spec);
      case AttributeKind::numbers: return std::vector<double>{number(spec)};
      case AttributeKind::boolean: return below(2) == 1;
      case AttributeKind::extent: {
        const std::int64_t height = small();
        return Extent{height, below(2) ? height : small()};
      }
      case AttributeKind::padding: {
        if (below(3) == 0) return Padding{below(2) ? Padding::Rule::same : Padding::Rule::valid, {}};
        return Padding{Padding::Rule::size, {small(), small()}};
      }
      case AttributeKind::choice:
        return spec.choices[static_cast<std::size_t>(below(static_cast<std::int64_t>(spec.choices.size())))];
    }
    return {};
  }

  std::map<std::string, AttributeValue> values(const LayerType& type) {
    std::map<std::string, AttributeValue> given;
    for (const AttributeSpec& spec : type.attributes)
      if (spec.default_value.index() == 0 || below(2)) given[spec.name] = value(spec);
    return given;
  }

  Shape shape() {
    if (below(4) == 0) return {from({1, 3, 7, 16, 33}), 1, 1};
    return {from({1, 2, 3, 4, 6}), 1 + below(11), 1 + below(11)};
  }

 private:
  std::mt19937 engine_;
};

std::vector<float> scrambled(Draw& draw, std::int64_t count) {
  std::vector<float> values(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = static_cast<float>(4.0 * (static_cast<double>(i) + 0.5) / static_cast<double>(count) - 2.0);
  if (count % 2) values[values.size() / 2] = 2.25f;  // instead of the 0 in the middle
  for (std::int64_t i = count - 1; i > 0; --i)
    std::swap(values[static_cast<std::size_t>(i)], values[static_cast<std::size_t>(draw.below(i + 1))]);
  return values;
}

std::vector<float> uniform(Draw& draw, std::int64_t count, double low, double high) {
  std::vector<float> values(static_cast<std::size_t>(count));
  for (float& value : values) value = static_cast<float>(low + (high - low) * draw.uniform());
  return values;
}

}  // namespace

Attributes with_defaults(const LayerType& type, const std::map<std::string, AttributeValue>& given) {
  Attributes attributes;
  for (const AttributeSpec& spec : type.attributes) {
    const auto found = given.find(spec.name);
    attributes.set(spec.name, found == given.end() ? spec.default_value : found->second);
  }
  return attributes;
}

LayerCase make_case(const LayerType& type, const std::map<std::string, AttributeValue>& given,
                    std::vector<Shape> inputs, std::int64_t images) {
  LayerCase made;
  made.type = &type;
  made.attributes = with_defaults(type, given);
  made.layer = type.make(made.attributes);
  made.output = made.layer->output_shape(inputs);
  made.parameters = made.layer->parameters(inputs);
  made.images = images;
  made.text = fmt::format("{}{{", type.name);
  for (const auto& [name, value] : given) made.text += fmt::format("{}={} ", name, text_of(value));
  made.text += fmt::format("}} on {} images of", images);
  for (const Shape& input : inputs) made.text += fmt::format(" {}", input.text());
  made.inputs = std::move(inputs);
  return made;
}

std::vector<LayerCase> generate_cases(const LayerType& type, int count) {
  Draw draw(20230601);
  std::vector<LayerCase> cases;
  for (int attempt = 0; attempt < 40 * count && static_cast<int>(cases.size()) < count; ++attempt) {
    const auto given = draw.values(type);
    std::vector<Shape> inputs{draw.shape()};
    const std::int64_t more = std::min<std::int64_t>(type.maximum_inputs, type.minimum_inputs + draw.below(3));
    const bool other_channels = draw.below(2) == 1;
    while (static_cast<std::int64_t>(inputs.size()) < more) {
      inputs.push_back(inputs[0]);
      if (other_channels) inputs.back().channels = 1 + draw.below(5);
    }
    const std::int64_t images = draw.from({1, 1, 2, 3, 5, 7, 17});
    try {
      cases.push_back(make_case(type, given, inputs, images));
    } catch (const ShapeError&) {
      // Drawn blindly, not everything fits together.
    }
  }
  return cases;
}

LayerData make_data(const LayerCase& layer_case, Mode mode) {
  Draw draw(7);
  LayerData data;
  data.mode = mode;
  for (const Shape& input : layer_case.inputs)
    data.inputs.push_back(scrambled(draw, layer_case.images * input.elements()));
  for (const ParameterSpec& spec : layer_case.parameters)
    data.parameters.push_back(spec.trained ? uniform(draw, spec.elements(), -1, 1)
                                           : uniform(draw, spec.elements(), 0.5, 1.5));
  data.output_gradient = uniform(draw, layer_case.images * layer_case.output.elements(), -1, 1);
  for (std::int64_t i = 0; i < layer_case.images; ++i) data.samples.push_back(static_cast<std::uint32_t>(1000 - 7 * i));
  return data;
}

LayerData pick_images(const LayerCase& layer_case, const LayerData& data, const std::vector<std::int64_t>& which) {
  const auto pick = [&](const std::vector<float>& all, const Shape& shape) {
    std::vector<float> picked;
    for (const std::int64_t image : which) {
      const auto first = all.begin() + image * shape.elements();
      picked.insert(picked.end(), first, first + shape.elements());
    }
    return picked;
  };
  LayerData less = data;
  for (std::size_t i = 0; i < data.inputs.size(); ++i) less.inputs[i] = pick(data.inputs[i], layer_case.inputs[i]);
  less.output_gradient = pick(data.output_gradient, layer_case.output);
  less.samples.clear();
  for (const std::int64_t image : which) less.samples.push_back(data.samples[static_cast<std::size_t>(image)]);
  return less;
}

}  // namespace lenet_flow::test

#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "devices/shape.h"
#include "layers/attributes.h"
#include "layers/kernel.h"

namespace lenet_flow::test {

/// A micro-batch in the standard layout, in double precision.
struct Values {
  Shape shape;
  std::int64_t images = 0;
  std::vector<double> data;

  Values() = default;
  Values(const Shape& of_image, std::int64_t count)
      : shape(of_image), images(count), data(static_cast<std::size_t>(count * of_image.elements())) {}

  double& at(std::int64_t image, std::int64_t channel, std::int64_t row, std::int64_t column) {
    return data[place(image, channel, row, column)];
  }
  double at(std::int64_t image, std::int64_t channel, std::int64_t row, std::int64_t column) const {
    return data[place(image, channel, row, column)];
  }
  /// The same, with zeros around the image.
  double padded(std::int64_t image, std::int64_t channel, std::int64_t row, std::int64_t column) const {
    const bool inside = row >= 0 && row < shape.height && column >= 0 && column < shape.width;
    return inside ? at(image, channel, row, column) : 0.0;
  }

 private:
  std::size_t place(std::int64_t image, std::int64_t channel, std::int64_t row, std::int64_t column) const {
    return static_cast<std::size_t>(((image * shape.channels + channel) * shape.height + row) * shape.width + column);
  }
};

/// What a reference computes from.
struct ReferenceCall {
  const Attributes& attributes;
  std::span<const Values> inputs;
  std::span<const std::vector<double>> parameters;
  const MicroBatchFacts& facts;
  std::string_view layer_name;
};

/// A case beyond the generated ones. Attributes not given have their defaults.
struct ChosenCase {
  std::map<std::string, AttributeValue> attributes;
  std::vector<Shape> inputs;
  std::int64_t images = 1;
};

/// A layer's mathematics written down as plainly as possible, in double precision, with no thought of speed and with
/// nothing of the layer's own code.
struct Reference {
  Values (*forward)(const ReferenceCall&) = nullptr;
  /// In training, an image's output depends on the other images of the micro-batch (batch_norm).
  bool mixes_images = false;
  std::vector<ChosenCase> cases = {};
};

/// A reference joins the suite by `const RegisterReference registered("conv2d", {forward})` in reference/conv2d.cpp.
struct RegisterReference {
  RegisterReference(std::string type, Reference reference);
};

/// The reference of a layer type, or null.
const Reference* find_reference(std::string_view type);

/// A reference that works on each number alone.
template <typename Function>
Values elementwise(const Values& input, Function&& function) {
  Values output(input.shape, input.images);
  for (std::size_t i = 0; i < input.data.size(); ++i) output.data[i] = function(input.data[i]);
  return output;
}

/// Calls body(image, channel, row, column) for every element.
template <typename Body>
void for_each_element(const Values& values, Body&& body) {
  for (std::int64_t image = 0; image < values.images; ++image)
    for (std::int64_t channel = 0; channel < values.shape.channels; ++channel)
      for (std::int64_t row = 0; row < values.shape.height; ++row)
        for (std::int64_t column = 0; column < values.shape.width; ++column) body(image, channel, row, column);
}

}  // namespace lenet_flow::test

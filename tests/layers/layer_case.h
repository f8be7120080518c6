#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "layers/registry.h"
#include "tests/layers/reference/reference.h"

namespace lenet_flow::test {

/// One layer with attributes and shapes, ready to run.
struct LayerCase {
  const LayerType* type = nullptr;
  Attributes attributes;
  std::shared_ptr<Layer> layer;
  std::vector<Shape> inputs;
  Shape output;
  std::vector<ParameterSpec> parameters;
  std::int64_t images = 1;
  std::string text;  ///< "conv2d{out_channels=3, ...} on 5 images of 2x7x7"
};

/// The key of the random numbers of every layer under test.
inline constexpr const char* layer_name = "under_test";

/// The type's attributes with their defaults, but for those given.
Attributes with_defaults(const LayerType& type, const std::map<std::string, AttributeValue>& given);

/// A case of given attributes and shapes. Throws ShapeError where they do not fit.
LayerCase make_case(const LayerType& type, const std::map<std::string, AttributeValue>& given,
                    std::vector<Shape> inputs, std::int64_t images);

/// About `count` cases drawn from what the type's attributes allow (small values, so that many fit), over odd sizes,
/// single images and micro-batches that fill no vector. The same at every call.
std::vector<LayerCase> generate_cases(const LayerType& type, int count);

/// Numbers for one micro-batch, in the standard layout.
struct LayerData {
  Mode mode = Mode::train;
  std::vector<std::vector<float>> inputs, parameters;
  std::vector<float> output_gradient;
  std::vector<std::uint32_t> samples;  ///< one an image
};

/// Inputs whose numbers all differ, by so much that no small step meets the kink of a relu or changes the order of two
/// of them (max_pool); parameters in [-1, 1], those that are not trained in [0.5, 1.5].
LayerData make_data(const LayerCase& layer_case, Mode mode);

/// The same micro-batch, cut down to the images numbered in `which`, in that order.
LayerData pick_images(const LayerCase& layer_case, const LayerData& data, const std::vector<std::int64_t>& which);

}  // namespace lenet_flow::test

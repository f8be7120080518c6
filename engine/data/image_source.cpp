#include "engine/data/image_source.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <mutex>
#include <numeric>
#include <opencv2/core.hpp>
#include <set>
#include <tuple>

#include "devices/random.h"
#include "engine/data/image_steps.h"
#include "engine/graph/diagnostics.h"

namespace lenet_flow {
namespace {

/// Room for one call: on the stack where it is enough for small images, so that MNIST costs no allocation.
template <typename T, std::size_t near_count>
class Scratch {
 public:
  explicit Scratch(std::int64_t count) {
    if (count > static_cast<std::int64_t>(near_count))
      far_ = std::make_unique_for_overwrite<T[]>(static_cast<std::size_t>(count));
  }
  T* data() { return far_ ? far_.get() : near_.data(); }

 private:
  std::array<T, near_count> near_;
  std::unique_ptr<T[]> far_;
};

struct ShapeLess {
  bool operator()(const Shape& a, const Shape& b) const {
    return std::tie(a.channels, a.height, a.width) < std::tie(b.channels, b.height, b.width);
  }
};

std::string list_of(const std::set<Shape, ShapeLess>& shapes) {
  std::string text;
  std::size_t count = 0;
  for (const Shape& shape : shapes) {
    if (++count > 3) return text + ", ...";
    text += (text.empty() ? "" : ", ") + shape.text();
  }
  return text;
}

}  // namespace

ImageSource::ImageSource(const Dataset& dataset, std::span<const TypedEntry> preprocess,
                         std::span<const TypedEntry> augment, std::uint64_t seed)
    : dataset_(dataset), seed_(seed) {
  // Images are read by several threads at once; OpenCV may not start its own.
  static std::once_flag once;
  std::call_once(once, [] { cv::setNumThreads(0); });

  for (std::size_t i = 0; i < preprocess.size(); ++i) {
    if (i == 0 && preprocess[i].type == "scale")
      first_scale_ = static_cast<float>(preprocess[i].attributes.number("by"));
    else
      steps_.push_back(make_preprocess_step(preprocess[i], fmt::format("data.preprocess[{}]", i)));
  }
  preprocess_steps_ = steps_.size();
  for (std::size_t i = 0; i < augment.size(); ++i) {
    steps_.push_back(make_augment_step(augment[i], fmt::format("data.augment[{}]", i)));
    augment_streams_.push_back(fmt::format("augment.{}{}", augment[i].type, i));
  }

  std::set<Shape, ShapeLess> before, after;
  for (std::int64_t i = 0; i < dataset_.size(); ++i) before.insert(dataset_.shape(i));
  if (before.empty()) throw InputError("data: no images");
  for (const Shape& image : before) after.insert(check_steps(image));
  if (after.size() > 1)
    throw InputError(
        fmt::format("data.preprocess: the images are of several sizes ({}); bring them to one: "
                    "{{\"type\": \"resize\", \"size\": [{}, {}]}}",
                    list_of(after), after.begin()->height, after.begin()->width));
  shape_ = *after.begin();
}

ImageSource::~ImageSource() = default;

Shape ImageSource::check_steps(const Shape& image) {
  Shape shape = image;
  for (const auto& step : steps_) {
    const Shape next = step->output_shape(shape);
    if (!step->in_place()) scratch_floats_ = std::max({scratch_floats_, shape.elements(), next.elements()});
    shape = next;
  }
  return shape;
}

std::int64_t ImageSource::size() const { return dataset_.size(); }

std::int32_t ImageSource::label(std::int64_t index) const { return dataset_.label(index); }

void ImageSource::write(std::int64_t index, std::uint32_t epoch, bool training, std::span<float> pixels) const {
  Shape shape = dataset_.shape(index);
  const auto bytes = static_cast<std::size_t>(shape.elements());
  Scratch<std::uint8_t, 4096> decoded(shape.elements());
  dataset_.read(index, {decoded.data(), bytes});

  // Where steps move pixels the image goes to and fro between two halves of the scratch memory.
  Scratch<float, 1> scratch(2 * scratch_floats_);
  float* const halves[] = {scratch.data(), scratch.data() + scratch_floats_};
  int half = 0;
  float* image = scratch_floats_ > 0 ? halves[0] : pixels.data();
  const std::uint8_t* from = decoded.data();
  for (std::size_t i = 0; i < bytes; ++i) image[i] = static_cast<float>(from[i]) * first_scale_;

  const std::size_t steps = training ? steps_.size() : preprocess_steps_;
  for (std::size_t i = 0; i < steps; ++i) {
    const ImageStep& step = *steps_[i];
    const bool augments = i >= preprocess_steps_;
    const RandomStream random(seed_, epoch, static_cast<std::uint32_t>(index),
                              augments ? std::string_view(augment_streams_[i - preprocess_steps_]) : "");
    if (!step.in_place()) half = 1 - half;
    float* const next = step.in_place() ? image : halves[half];
    step.apply(image, shape, next, random);
    shape = step.output_shape(shape);
    image = next;
  }
  if (image != pixels.data()) std::copy_n(image, shape_.elements(), pixels.data());
}

std::vector<std::uint32_t> epoch_order(std::int64_t count, bool shuffle, std::uint64_t seed, std::uint32_t epoch) {
  std::vector<std::uint32_t> order(static_cast<std::size_t>(count));
  std::iota(order.begin(), order.end(), 0u);
  if (!shuffle) return order;
  const RandomStream random(seed, epoch, 0, "shuffle");
  for (std::size_t i = order.size(); i > 1; --i)  // Fisher-Yates, from the end
    std::swap(order[i - 1], order[random.below(i - 1, static_cast<std::uint32_t>(i))]);
  return order;
}

}  // namespace lenet_flow

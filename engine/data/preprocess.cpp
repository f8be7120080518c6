#include <fmt/format.h>

#include <algorithm>
#include <opencv2/imgproc.hpp>
#include <stdexcept>
#include <vector>

#include "engine/data/image_steps.h"
#include "engine/data/readers.h"

namespace lenet_flow {
namespace {

class Scale final : public ImageStep {
 public:
  Scale(const TypedEntry& entry, std::string field)
      : ImageStep(entry, std::move(field)), by_(static_cast<float>(entry.attributes.number("by"))) {}
  bool in_place() const override { return true; }
  void apply(const float* from, const Shape& shape, float* to, const RandomStream&) const override {
    const std::int64_t count = shape.elements();
    for (std::int64_t i = 0; i < count; ++i) to[i] = from[i] * by_;
  }

 private:
  float by_;
};

class Normalize final : public ImageStep {
 public:
  Normalize(const TypedEntry& entry, std::string field)
      : ImageStep(entry, std::move(field)),
        mean_(entry.attributes.numbers("mean")),
        std_(entry.attributes.numbers("std")) {}
  Shape output_shape(const Shape& shape) const override {
    require_channels("mean", mean_.size(), shape);
    require_channels("std", std_.size(), shape);
    return shape;
  }
  bool in_place() const override { return true; }
  void apply(const float* from, const Shape& shape, float* to, const RandomStream&) const override {
    const std::int64_t plane = shape.height * shape.width;
    for (std::int64_t channel = 0; channel < shape.channels; ++channel) {
      const float mean = of_channel(mean_, channel), deviation = of_channel(std_, channel);
      const std::int64_t begin = channel * plane;
      for (std::int64_t i = begin; i < begin + plane; ++i) to[i] = (from[i] - mean) / deviation;
    }
  }

 private:
  static float of_channel(const std::vector<double>& values, std::int64_t channel) {
    return static_cast<float>(values.size() == 1 ? values[0] : values[static_cast<std::size_t>(channel)]);
  }
  void require_channels(const std::string& attribute, std::size_t count, const Shape& shape) const {
    if (count != 1 && static_cast<std::int64_t>(count) != shape.channels)
      fail(attribute, fmt::format("expected one number or {}, one a channel of images of {}, got {}", shape.channels,
                                  shape.text(), count));
  }
  std::vector<double> mean_, std_;
};

/// Bilinear, pixel centres at halves (as PyTorch's interpolate with align_corners false); no filter before shrinking.
class Resize final : public ImageStep {
 public:
  Resize(const TypedEntry& entry, std::string field)
      : ImageStep(entry, std::move(field)), size_(entry.attributes.extent("size")) {}
  Shape output_shape(const Shape& shape) const override {
    if (size_.height * size_.width > most_pixels)
      fail("size", fmt::format("at most {} pixels an image, got {}", most_pixels, size_.height * size_.width));
    return {shape.channels, size_.height, size_.width};
  }
  void apply(const float* from, const Shape& shape, float* to, const RandomStream&) const override {
    for (std::int64_t channel = 0; channel < shape.channels; ++channel) {
      const cv::Mat source(static_cast<int>(shape.height), static_cast<int>(shape.width), CV_32F,
                           const_cast<float*>(from + channel * shape.height * shape.width));
      cv::Mat target(static_cast<int>(size_.height), static_cast<int>(size_.width), CV_32F,
                     to + channel * size_.height * size_.width);
      cv::resize(source, target, target.size(), 0, 0, cv::INTER_LINEAR);
    }
  }

 private:
  Extent size_;
};

/// The middle; where the rest is odd, the larger part of it goes at the bottom and right.
class CentreCrop final : public ImageStep {
 public:
  CentreCrop(const TypedEntry& entry, std::string field)
      : ImageStep(entry, std::move(field)), size_(entry.attributes.extent("size")) {}
  Shape output_shape(const Shape& shape) const override {
    if (size_.height > shape.height || size_.width > shape.width)
      fail("size", fmt::format("a crop of {}x{} is larger than the images, which are {}", size_.height, size_.width,
                               shape.text()));
    return {shape.channels, size_.height, size_.width};
  }
  void apply(const float* from, const Shape& shape, float* to, const RandomStream&) const override {
    const std::int64_t top = (shape.height - size_.height) / 2, left = (shape.width - size_.width) / 2;
    for (std::int64_t channel = 0; channel < shape.channels; ++channel)
      for (std::int64_t row = 0; row < size_.height; ++row, to += size_.width)
        std::copy_n(from + (channel * shape.height + top + row) * shape.width + left, size_.width, to);
  }

 private:
  Extent size_;
};

class Pad final : public ImageStep {
 public:
  Pad(const TypedEntry& entry, std::string field)
      : ImageStep(entry, std::move(field)),
        pixels_(entry.attributes.integer("pixels")),
        value_(static_cast<float>(entry.attributes.number("value"))) {}
  Shape output_shape(const Shape& shape) const override {
    const Shape result{shape.channels, shape.height + 2 * pixels_, shape.width + 2 * pixels_};
    if (result.height * result.width > most_pixels)
      fail("pixels", fmt::format("at most {} pixels an image; this makes {}", most_pixels, result.text()));
    return result;
  }
  void apply(const float* from, const Shape& shape, float* to, const RandomStream&) const override {
    const Shape result = output_shape(shape);
    std::fill_n(to, result.elements(), value_);
    for (std::int64_t channel = 0; channel < shape.channels; ++channel)
      for (std::int64_t row = 0; row < shape.height; ++row, from += shape.width)
        std::copy_n(from, shape.width, to + (channel * result.height + pixels_ + row) * result.width + pixels_);
  }

 private:
  std::int64_t pixels_;
  float value_;
};

/// Luma of ITU-R BT.601. Images of one channel stay as they are.
class Grayscale final : public ImageStep {
 public:
  using ImageStep::ImageStep;
  Shape output_shape(const Shape& shape) const override {
    if (shape.channels != 1 && shape.channels != 3)
      fail("", fmt::format("needs images of 3 channels, got {}", shape.text()));
    return {1, shape.height, shape.width};
  }
  void apply(const float* from, const Shape& shape, float* to, const RandomStream&) const override {
    const std::int64_t plane = shape.height * shape.width;
    if (shape.channels == 1) {
      std::copy_n(from, plane, to);
      return;
    }
    for (std::int64_t i = 0; i < plane; ++i)
      to[i] = 0.299f * from[i] + 0.587f * from[plane + i] + 0.114f * from[2 * plane + i];
  }
};

}  // namespace

void ImageStep::fail(const std::string& attribute, const std::string& message) const {
  throw InputError(
      std::vector<Diagnostic>(1, Diagnostic{where_, attribute.empty() ? field_ : field_ + "." + attribute, message}));
}

std::unique_ptr<ImageStep> make_preprocess_step(const TypedEntry& entry, std::string field) {
  if (entry.type == "scale") return std::make_unique<Scale>(entry, std::move(field));
  if (entry.type == "normalize") return std::make_unique<Normalize>(entry, std::move(field));
  if (entry.type == "resize") return std::make_unique<Resize>(entry, std::move(field));
  if (entry.type == "crop") return std::make_unique<CentreCrop>(entry, std::move(field));
  if (entry.type == "pad") return std::make_unique<Pad>(entry, std::move(field));
  if (entry.type == "grayscale") return std::make_unique<Grayscale>(entry, std::move(field));
  throw std::logic_error("no code for the preprocessing step '" + entry.type + "'");
}

}  // namespace lenet_flow

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "engine/data/image_steps.h"

namespace lenet_flow {
namespace {

/// Moves an image down by `down` and right by `right` pixels (negative: up, left); zeros come in.
void move_image(const float* from, const Shape& shape, std::int64_t down, std::int64_t right, float* to) {
  const std::int64_t kept = std::max<std::int64_t>(0, shape.width - std::abs(right));
  const std::int64_t source_left = std::max<std::int64_t>(0, -right), target_left = std::max<std::int64_t>(0, right);
  for (std::int64_t channel = 0; channel < shape.channels; ++channel)
    for (std::int64_t row = 0; row < shape.height; ++row, to += shape.width) {
      const std::int64_t source_row = row - down;
      std::fill_n(to, shape.width, 0.0f);
      if (source_row < 0 || source_row >= shape.height || kept == 0) continue;
      std::copy_n(from + (channel * shape.height + source_row) * shape.width + source_left, kept, to + target_left);
    }
}

/// Moves by whole pixels, each of the (2 n + 1)^2 moves as likely: random element 0 is down, 1 is right. It is "shift",
/// and "crop" too: cutting the image's own size out of it with a border of n zeros is the same.
class Shift final : public ImageStep {
 public:
  Shift(const TypedEntry& entry, std::string field, const char* attribute)
      : ImageStep(entry, std::move(field)), most_(entry.attributes.integer(attribute)) {}
  void apply(const float* from, const Shape& shape, float* to, const RandomStream& random) const override {
    const auto moves = static_cast<std::uint32_t>(2 * most_ + 1);
    move_image(from, shape, random.below(0, moves) - most_, random.below(1, moves) - most_, to);
  }

 private:
  std::int64_t most_;
};

/// Turns about the middle, anticlockwise where the angle is positive; the angle is uniform in [-degrees, degrees).
/// Bilinear; what lies outside the image is zero.
class Rotate final : public ImageStep {
 public:
  Rotate(const TypedEntry& entry, std::string field)
      : ImageStep(entry, std::move(field)), most_degrees_(entry.attributes.number("degrees")) {}
  void apply(const float* from, const Shape& shape, float* to, const RandomStream& random) const override {
    const double degrees = (2.0 * static_cast<double>(random.uniform(0)) - 1.0) * most_degrees_;
    const double angle = degrees * (3.141592653589793 / 180.0);
    const auto cosine = static_cast<float>(std::cos(angle)), sine = static_cast<float>(std::sin(angle));
    const float middle_row = static_cast<float>(shape.height - 1) / 2,
                middle_column = static_cast<float>(shape.width - 1) / 2;
    for (std::int64_t channel = 0; channel < shape.channels; ++channel) {
      const float* plane = from + channel * shape.height * shape.width;
      for (std::int64_t row = 0; row < shape.height; ++row)
        for (std::int64_t column = 0; column < shape.width; ++column) {
          const float down = static_cast<float>(row) - middle_row, right = static_cast<float>(column) - middle_column;
          *to++ = sample(plane, shape, middle_row + right * sine + down * cosine,
                         middle_column + right * cosine - down * sine);
        }
    }
  }

 private:
  static float sample(const float* plane, const Shape& shape, float row, float column) {
    const float top = std::floor(row), left = std::floor(column);
    const float below = row - top, beside = column - left;
    const auto r = static_cast<std::int64_t>(top), c = static_cast<std::int64_t>(left);
    const auto pixel = [&](std::int64_t y, std::int64_t x) {
      return y < 0 || y >= shape.height || x < 0 || x >= shape.width ? 0.0f : plane[y * shape.width + x];
    };
    return (1 - below) * ((1 - beside) * pixel(r, c) + beside * pixel(r, c + 1)) +
           below * ((1 - beside) * pixel(r + 1, c) + beside * pixel(r + 1, c + 1));
  }

  double most_degrees_;
};

/// Mirrors half of the images.
class Flip final : public ImageStep {
 public:
  Flip(const TypedEntry& entry, std::string field)
      : ImageStep(entry, std::move(field)), vertical_(entry.attributes.choice("direction") == "vertical") {}
  void apply(const float* from, const Shape& shape, float* to, const RandomStream& random) const override {
    const bool flip = random.below(0, 2) == 1;
    for (std::int64_t channel = 0; channel < shape.channels; ++channel)
      for (std::int64_t row = 0; row < shape.height; ++row, to += shape.width) {
        const std::int64_t source_row = flip && vertical_ ? shape.height - 1 - row : row;
        const float* source = from + (channel * shape.height + source_row) * shape.width;
        if (flip && !vertical_)
          std::reverse_copy(source, source + shape.width, to);
        else
          std::copy_n(source, shape.width, to);
      }
  }

 private:
  bool vertical_;
};

}  // namespace

std::unique_ptr<ImageStep> make_augment_step(const TypedEntry& entry, std::string field) {
  if (entry.type == "shift") return std::make_unique<Shift>(entry, std::move(field), "pixels");
  if (entry.type == "crop") return std::make_unique<Shift>(entry, std::move(field), "padding");
  if (entry.type == "rotate") return std::make_unique<Rotate>(entry, std::move(field));
  if (entry.type == "flip") return std::make_unique<Flip>(entry, std::move(field));
  throw std::logic_error("no code for the augmentation step '" + entry.type + "'");
}

}  // namespace lenet_flow

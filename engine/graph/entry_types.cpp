#include "engine/graph/graph_file.h"

namespace lenet_flow {
namespace {

constexpr double largest_image = 16384;  // rows or columns

AttributeSpec warmup() {
  return {.name = "warmup",
          .kind = AttributeKind::number,
          .help = "epochs in which the learning rate first rises from near 0 along a line",
          .default_value = 0.0,
          .maximum = 1e6};
}

AttributeSpec minimum_rate() {
  return {.name = "minimum",
          .kind = AttributeKind::number,
          .help = "learning rate at the end",
          .default_value = 0.0,
          .maximum = 1e6};
}

AttributeSpec image_size(std::string help) {
  return {.name = "size",
          .kind = AttributeKind::extent,
          .help = std::move(help),
          .default_value = {},
          .minimum = 1,
          .maximum = largest_image};
}

AttributeSpec pixels(std::string name, std::string help, double minimum) {
  return {.name = std::move(name),
          .kind = AttributeKind::integer,
          .help = std::move(help),
          .default_value = {},
          .minimum = minimum,
          .maximum = largest_image};
}

std::vector<EntryType> make_learning_rate_types() {
  const AttributeSpec factor{.name = "factor",
                             .kind = AttributeKind::number,
                             .help = "what the learning rate is multiplied by at each step",
                             .default_value = 0.1,
                             .maximum = 1e3,
                             .open_minimum = true};
  const AttributeSpec every{.name = "every",
                            .kind = AttributeKind::integer,
                            .help = "epochs from step to step",
                            .default_value = {},
                            .minimum = 1,
                            .maximum = 1e6};
  return {
      {"constant", "the optimizer's learning rate throughout", {warmup()}},
      {"step", "times `factor` every `every` epochs", {every, factor, warmup()}},
      {"cosine", "down to `minimum` along half a cosine", {minimum_rate(), warmup()}},
      {"linear", "down to `minimum` along a line", {minimum_rate(), warmup()}},
  };
}

std::vector<EntryType> make_preprocess_types() {
  const AttributeSpec by{.name = "by",
                         .kind = AttributeKind::number,
                         .help = "what each pixel is multiplied by (readers give 0..255)",
                         .default_value = {},
                         .minimum = 0,
                         .maximum = 1e6,
                         .open_minimum = true};
  const AttributeSpec mean{.name = "mean",
                           .kind = AttributeKind::numbers,
                           .help = "what is taken from each pixel: a number, or a list of one a channel",
                           .default_value = {},
                           .minimum = -1e6,
                           .maximum = 1e6};
  const AttributeSpec deviation{.name = "std",
                                .kind = AttributeKind::numbers,
                                .help = "what the rest is divided by: a number, or a list of one a channel",
                                .default_value = {},
                                .minimum = 0,
                                .maximum = 1e6,
                                .open_minimum = true};
  const AttributeSpec value{.name = "value",
                            .kind = AttributeKind::number,
                            .help = "what the new pixels hold",
                            .default_value = 0.0,
                            .minimum = -1e6,
                            .maximum = 1e6};
  return {
      {"scale", "multiplies each pixel", {by}},
      {"normalize", "(pixel - mean) / std, of pixels as the steps before left them", {mean, deviation}},
      {"resize", "to a size, bilinear", {image_size("the new size: n or [height, width]")}},
      {"crop", "cuts out the middle", {image_size("the size that stays: n or [height, width]")}},
      {"pad", "adds a border", {pixels("pixels", "width of the border on each side", 1), value}},
      {"grayscale", "red, green and blue to one channel (ITU-R BT.601 luma)", {}},
  };
}

std::vector<EntryType> make_augment_types() {
  const AttributeSpec degrees{.name = "degrees",
                              .kind = AttributeKind::number,
                              .help = "the largest angle, either way",
                              .default_value = {},
                              .minimum = 0,
                              .maximum = 180,
                              .open_minimum = true};
  const AttributeSpec direction{.name = "direction",
                                .kind = AttributeKind::choice,
                                .help = "what is swapped: left and right (horizontal), or top and bottom",
                                .default_value = std::string("horizontal"),
                                .choices = {"horizontal", "vertical"}};
  return {
      {"shift", "moves the image by a random number of pixels each way", {pixels("pixels", "the largest move", 1)}},
      {"rotate", "turns the image by a random angle, bilinear", {degrees}},
      {"flip", "mirrors every second image, at random", {direction}},
      {"crop",
       "adds a border of zeros and cuts the image's own size out of it at a random place",
       {pixels("padding", "width of the border on each side", 1)}},
  };
}

}  // namespace

const std::vector<EntryType>& learning_rate_types() {
  static const std::vector<EntryType> types = make_learning_rate_types();
  return types;
}

const std::vector<EntryType>& preprocess_types() {
  static const std::vector<EntryType> types = make_preprocess_types();
  return types;
}

const std::vector<EntryType>& augment_types() {
  static const std::vector<EntryType> types = make_augment_types();
  return types;
}

}  // namespace lenet_flow

#include "layers/window.h"

#include <fmt/format.h>

#include <algorithm>

#include "layers/layer.h"

namespace lenet_flow {
namespace {

/// a * b, or something above most_elements where that is the truth; a, b >= 0 and a <= most_elements + 1.
std::int64_t saturated_product(std::int64_t a, std::int64_t b) {
  if (a != 0 && b > most_elements / a) return most_elements + 1;
  return a * b;
}

struct Axis {
  std::int64_t before = 0, after = 0, output = 0;
};

Axis fit_axis(std::int64_t input, std::int64_t kernel, std::int64_t stride, std::int64_t dilation, Padding::Rule rule,
              std::int64_t size) {
  const std::int64_t span = (kernel - 1) * dilation + 1;
  Axis axis;
  if (rule == Padding::Rule::same) {
    axis.output = (input + stride - 1) / stride;
    const std::int64_t missing = std::max<std::int64_t>(0, (axis.output - 1) * stride + span - input);
    axis.before = missing / 2;
    axis.after = missing - axis.before;
    return axis;
  }
  if (rule == Padding::Rule::size) axis.before = axis.after = size;
  const std::int64_t room = input + axis.before + axis.after - span;
  axis.output = room < 0 ? 0 : room / stride + 1;
  return axis;
}

std::string extent_text(Extent extent) { return fmt::format("{}x{}", extent.height, extent.width); }

}  // namespace

PositionRange positions_inside(std::int64_t tap, std::int64_t stride, std::int64_t dilation, std::int64_t before,
                               std::int64_t input, std::int64_t output) {
  const std::int64_t offset = tap * dilation - before;  // 0 <= position * stride + offset < input
  const std::int64_t begin = offset >= 0 ? 0 : (-offset + stride - 1) / stride;
  const std::int64_t end = offset >= input ? 0 : (input - 1 - offset) / stride + 1;
  return {std::min(begin, output), std::max(std::min(begin, output), std::min(end, output))};
}

Window fit_window(const Shape& input, Extent kernel, Extent stride, Extent dilation, const Padding& padding) {
  const Axis rows =
      fit_axis(input.height, kernel.height, stride.height, dilation.height, padding.rule, padding.extent.height);
  const Axis columns =
      fit_axis(input.width, kernel.width, stride.width, dilation.width, padding.rule, padding.extent.width);
  if (rows.output < 1 || columns.output < 1) {
    const Extent span{(kernel.height - 1) * dilation.height + 1, (kernel.width - 1) * dilation.width + 1};
    const Extent padded{input.height + rows.before + rows.after, input.width + columns.before + columns.after};
    throw ShapeError(fmt::format(
        "a kernel of {}{} does not fit into an image of {}{}; a kernel of at most {} or a padding of at least {} would",
        extent_text(kernel), dilation == Extent{1, 1} ? "" : " dilated to " + extent_text(span),
        extent_text({input.height, input.width}),
        padded == Extent{input.height, input.width} ? "" : " padded to " + extent_text(padded),
        extent_text({std::min(kernel.height, (padded.height - 1) / dilation.height + 1),
                     std::min(kernel.width, (padded.width - 1) / dilation.width + 1)}),
        extent_text({std::max<std::int64_t>(0, (span.height - input.height + 1) / 2),
                     std::max<std::int64_t>(0, (span.width - input.width + 1) / 2)})));
  }
  return {.kernel = kernel,
          .stride = stride,
          .dilation = dilation,
          .before = {rows.before, columns.before},
          .after = {rows.after, columns.after},
          .output = {rows.output, columns.output}};
}

Shape checked_shape(const Shape& shape) {
  if (saturated_product(saturated_product(shape.channels, shape.height), shape.width) > most_elements)
    throw ShapeError(
        fmt::format("an output of {} an image is too large; at most {} elements", shape.text(), most_elements));
  return shape;
}

void check_weight(std::int64_t out, std::int64_t in, Extent kernel) {
  if (saturated_product(saturated_product(saturated_product(out, in), kernel.height), kernel.width) > most_elements)
    throw ShapeError(fmt::format("a weight of {}x{}x{} is too large; at most {} elements", out, in, extent_text(kernel),
                                 most_elements));
}

AttributeSpec kernel_attribute() {
  return {.name = "kernel",
          .kind = AttributeKind::extent,
          .help = "rows and columns of the window",
          .default_value = {},
          .minimum = 1,
          .maximum = most_extent};
}

AttributeSpec pool_stride_attribute() {
  return {.name = "stride",
          .kind = AttributeKind::extent,
          .help = "step of the window; not given: as large as the kernel",
          .default_value = Extent{},
          .minimum = 1,
          .maximum = most_extent};
}

AttributeSpec pool_padding_attribute() {
  return {.name = "padding",
          .kind = AttributeKind::extent,
          .help = "rows and columns added on each side; at most half of the kernel",
          .default_value = Extent{0, 0},
          .minimum = 0,
          .maximum = most_extent};
}

Window fit_pool(const Shape& input, const Attributes& attributes) {
  const Extent kernel = attributes.extent("kernel"), padding = attributes.extent("padding");
  const Extent stride = attributes.extent("stride") == Extent{} ? kernel : attributes.extent("stride");
  if (padding.height > kernel.height / 2 || padding.width > kernel.width / 2)
    throw ShapeError(fmt::format("a padding of {} is more than half of the kernel of {}; at most {} fits",
                                 extent_text(padding), extent_text(kernel),
                                 extent_text({kernel.height / 2, kernel.width / 2})));
  return fit_window(input, kernel, stride, {1, 1}, {Padding::Rule::size, padding});
}

}  // namespace lenet_flow

#pragma once

#include <cstdint>

#include "devices/shape.h"
#include "layers/attributes.h"

namespace lenet_flow {

/// Where a window (a convolution's kernel, a pool's) stands on an image: tap (y, x) of output position (row, column)
/// reads the input at (row * stride.height - before.height + y * dilation.height, likewise for columns); outside of
/// the image there are zeros (or, for max_pool, nothing).
struct Window {
  Extent kernel, stride, dilation{1, 1};
  Extent before, after;  ///< padding above and left, below and right
  Extent output;         ///< rows and columns of positions

  std::int64_t taps() const { return kernel.height * kernel.width; }
};

/// The first and one past the last of something.
struct PositionRange {
  std::int64_t begin = 0, end = 0;
};

/// Those output positions of one axis whose tap `tap` lies inside an image `input` long. May be empty.
PositionRange positions_inside(std::int64_t tap, std::int64_t stride, std::int64_t dilation, std::int64_t before,
                               std::int64_t input, std::int64_t output);

/// The window over an image of `input`, as many positions as fit (PyTorch's ceil_mode false). Throws ShapeError where
/// not even one fits.
Window fit_window(const Shape& input, Extent kernel, Extent stride, Extent dilation, const Padding& padding);

/// Most elements that one image's activations or one parameter may have: 2^31 - 1, so that a mistyped size ends in a
/// message and not in an overflow.
inline constexpr std::int64_t most_elements = 2147483647;

/// `shape`, or a ShapeError where it has more than most_elements elements. All extents >= 1.
Shape checked_shape(const Shape& shape);

/// Throws ShapeError where a weight of [out, in, height, width] would have more than most_elements elements.
void check_weight(std::int64_t out, std::int64_t in, Extent kernel);

/// Attributes that conv2d and the pools share.
inline constexpr double most_extent = 32768;  ///< of a kernel, stride, padding or dilation
AttributeSpec kernel_attribute();
/// For pools: not given, it is the kernel (Extent{} stands for that).
AttributeSpec pool_stride_attribute();
AttributeSpec pool_padding_attribute();

/// The window of a pool with the attributes kernel, stride and padding. Throws ShapeError, also where the padding is
/// more than half of the kernel: a window could then lie outside of the image (PyTorch's rule).
Window fit_pool(const Shape& input, const Attributes& attributes);

}  // namespace lenet_flow

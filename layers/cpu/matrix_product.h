#pragma once

#include <cstdint>

namespace lenet_flow {

/// Columns of the right operand lie in panels of so many: panel p holds columns [32 p, 32 p + 32) as [depth][32]
/// floats. What stands in the lanes beyond the last column is computed with but never stored.
inline constexpr std::int64_t panel_columns = 32;

inline std::int64_t panels_of(std::int64_t columns) { return (columns + panel_columns - 1) / panel_columns; }

/// The left operand: element (row, k) is data[row * row_stride + k * depth_stride].
struct LeftOperand {
  const float* data = nullptr;
  std::int64_t row_stride = 0, depth_stride = 0;
};

/// The right operand: panel p begins at data + p * panel_stride.
struct RightOperand {
  const float* data = nullptr;
  std::int64_t panel_stride = 0;
};

/// Where the product goes: element (row, column) is data[row * row_stride + column].
struct Product {
  float* data = nullptr;
  std::int64_t row_stride = 0;
};

/// Rows and columns of the product, and the depth that is summed over.
struct ProductSize {
  std::int64_t rows = 0, columns = 0, depth = 0;
};

/// product = left x right, or product += left x right where `add`; in the calling thread. None may overlap.
///
/// Exactness: the depth is cut into blocks of 256. A block is summed from zero in ascending order, one fused
/// multiply-add a step (two roundings where the SIMD target has none), and the blocks are added to the element in
/// order. Every lane of every tile does this same arithmetic, so the bits of an element depend on its row, its column
/// of numbers, the depth and the SIMD target alone: not on where it stands in the matrix, nor on addresses.
void multiply(const LeftOperand& left, const RightOperand& right, const Product& product, const ProductSize& size,
              bool add);

}  // namespace lenet_flow

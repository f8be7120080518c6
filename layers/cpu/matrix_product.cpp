#include "layers/cpu/matrix_product.h"

#include <algorithm>

#include "layers/cpu/simd.h"

// Highway compiles this file once for every SIMD target that is worth it and picks one when the program runs. Left
// out: SSSE3 (no machine of interest stops there), and SVE, whose vectors cannot be kept in arrays.
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "layers/cpu/matrix_product.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.h, as Highway wants it.
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace lenet_flow {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;
using Lanes = HWY_CAPPED(float, 16);
using Vector = hn::Vec<Lanes>;

constexpr std::int64_t depth_block = 256;
/// A tile's sums must stay in registers: 8 x 2 of AVX-512's 32, otherwise 6 x 2 of 16.
constexpr int tile_rows = HWY_TARGET == HWY_AVX3 ? 8 : 6;

/// `rows` x `vectors` sums over one block of the depth, then stored to or added to `columns` columns of the product.
template <int rows, int vectors>
void tile(const LeftOperand& left, const float* right, const Product& product, std::int64_t columns, std::int64_t depth,
          bool add) {
  const Lanes lanes;
  const std::int64_t width = static_cast<std::int64_t>(hn::Lanes(lanes));
  Vector sums[rows][vectors];
  const float* row[rows];
  for (int r = 0; r < rows; ++r) {
    row[r] = left.data + r * left.row_stride;
    for (int v = 0; v < vectors; ++v) sums[r][v] = hn::Zero(lanes);
  }
  for (std::int64_t k = 0, at = 0; k < depth; ++k, at += left.depth_stride) {
    Vector factors[vectors];
    for (int v = 0; v < vectors; ++v) factors[v] = hn::LoadU(lanes, right + k * panel_columns + v * width);
    for (int r = 0; r < rows; ++r) {
      const Vector factor = hn::Set(lanes, row[r][at]);
      for (int v = 0; v < vectors; ++v) sums[r][v] = hn::MulAdd(factor, factors[v], sums[r][v]);
    }
  }
  for (int r = 0; r < rows; ++r) {
    float* to = product.data + r * product.row_stride;
    if (columns == vectors * width) {
      for (int v = 0; v < vectors; ++v)
        hn::StoreU(add ? hn::Add(hn::LoadU(lanes, to + v * width), sums[r][v]) : sums[r][v], lanes, to + v * width);
    } else {
      HWY_ALIGN float edge[panel_columns] = {};
      for (int v = 0; v < vectors; ++v) hn::StoreU(sums[r][v], lanes, edge + v * width);
      for (std::int64_t j = 0; j < columns; ++j) to[j] = add ? to[j] + edge[j] : edge[j];
    }
  }
}

using Tile = void (*)(const LeftOperand&, const float*, const Product&, std::int64_t, std::int64_t, bool);
/// [vectors - 1][rows - 1]
constexpr Tile tiles[2][8] = {{tile<1, 1>, tile<2, 1>, tile<3, 1>, tile<4, 1>, tile<5, 1>, tile<6, 1>,
                               tile_rows == 8 ? tile<7, 1> : nullptr, tile_rows == 8 ? tile<8, 1> : nullptr},
                              {tile<1, 2>, tile<2, 2>, tile<3, 2>, tile<4, 2>, tile<5, 2>, tile<6, 2>,
                               tile_rows == 8 ? tile<7, 2> : nullptr, tile_rows == 8 ? tile<8, 2> : nullptr}};

void multiply_on_target(const LeftOperand& left, const RightOperand& right, const Product& product,
                        const ProductSize& size, bool add) {
  const std::int64_t width = static_cast<std::int64_t>(hn::Lanes(Lanes()));
  for (std::int64_t k = 0; k < size.depth; k += depth_block) {
    const std::int64_t depth = std::min(depth_block, size.depth - k);
    for (std::int64_t column = 0; column < size.columns; column += 2 * width) {
      const std::int64_t columns = std::min(2 * width, size.columns - column);
      const float* factors =
          right.data + column / panel_columns * right.panel_stride + k * panel_columns + column % panel_columns;
      const auto& of_width = tiles[columns > width ? 1 : 0];
      for (std::int64_t row = 0; row < size.rows; row += tile_rows) {
        const auto rows = std::min<std::int64_t>(tile_rows, size.rows - row);
        const float* from = left.data + row * left.row_stride + k * left.depth_stride;
        float* to = product.data + row * product.row_stride + column;
        of_width[rows - 1]({from, left.row_stride, left.depth_stride}, factors, {to, product.row_stride}, columns,
                           depth, add || k > 0);
      }
    }
  }
}

const char* target_name() { return hwy::TargetName(HWY_TARGET); }

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace lenet_flow
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lenet_flow {

HWY_EXPORT(multiply_on_target);
HWY_EXPORT(target_name);

void multiply(const LeftOperand& left, const RightOperand& right, const Product& product, const ProductSize& size,
              bool add) {
  HWY_DYNAMIC_DISPATCH(multiply_on_target)(left, right, product, size, add);
}

std::string_view simd_target() {
  const std::string_view name = HWY_DYNAMIC_DISPATCH(target_name)();
  return name == "AVX3" ? "AVX-512" : name;
}

}  // namespace lenet_flow
#endif

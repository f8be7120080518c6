#pragma once

#include "devices/cuda/launch.cuh"
#include "layers/cuda/shared.cuh"

namespace lenet_flow {

/// A matrix in memory, by any strides: element (row, column) lies at row * row_stride + column * column_stride.
struct Matrix {
  const float* data;
  std::int64_t row_stride, column_stride;

  __device__ float at(std::int64_t row, std::int64_t column) const {
    return data[row * row_stride + column * column_stride];
  }
};

struct ProductShape {
  std::int64_t rows, columns, depth;
};

constexpr unsigned tile = 16;

/// to [rows x columns, row after row] = left [rows x depth] . right [depth x columns], plus bias[column] where there is
/// one. A block makes a tile of 16 x 16, a thread an element of it; an element is summed along the depth in its order,
/// whatever the tile. Blocks: x along the columns, y along the rows.
__global__ void matrix_product(ProductShape shape, Matrix left, Matrix right, const float* bias, float* to) {
  __shared__ Shared<float> lefts[tile][tile], rights[tile][tile + 1];
  const unsigned x = threadIdx.x % tile, y = threadIdx.x / tile;
  const std::int64_t row = static_cast<std::int64_t>(blockIdx.y) * tile + y;
  const std::int64_t column = static_cast<std::int64_t>(blockIdx.x) * tile + x;
  float sum = 0;
  for (std::int64_t first = 0; first < shape.depth; first += tile) {
    lefts[y][x] = row < shape.rows && first + x < shape.depth ? left.at(row, first + x) : 0.0f;
    rights[y][x] = first + y < shape.depth && column < shape.columns ? right.at(first + y, column) : 0.0f;
    __syncthreads();
    const auto depth = static_cast<unsigned>(shape.depth - first < tile ? shape.depth - first : tile);
    for (unsigned k = 0; k < depth; ++k) sum = fmaf(lefts[y][k], rights[k][x], sum);
    __syncthreads();
  }
  if (row < shape.rows && column < shape.columns) to[row * shape.columns + column] = bias ? sum + bias[column] : sum;
}

/// Launches matrix_product. `bias` may be null.
inline void multiply(const WorkQueue& queue, const char* name, const ProductShape& shape, const Matrix& left,
                     const Matrix& right, const float* bias, float* to) {
  const auto tiles = [](std::int64_t count) { return static_cast<unsigned>((count + tile - 1) / tile); };
  launch(queue, name, {.blocks = tiles(shape.columns), .threads = tile * tile, .rows = tiles(shape.rows)},
         matrix_product, shape, left, right, bias, to);
}

}  // namespace lenet_flow

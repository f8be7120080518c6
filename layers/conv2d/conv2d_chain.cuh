#pragma once

#include "devices/host_device.h"
#include "layers/conv2d/conv2d.h"
#include "layers/cuda/activation.cuh"
#include "layers/cuda/shared.cuh"

namespace lenet_flow {

/// The sizes of a chain convolution, activation, pool. A pool's window is a cell of `cell` x `cell` elements of the
/// convolution's output; without a pool a cell is what one thread computes.
struct ChainSizes {
  int inputs, height, width;   ///< of the input
  int outputs, rows, columns;  ///< of the convolution
  int kernel_rows, kernel_columns;
  int before_rows, before_columns;    ///< padding
  int cell, cell_rows, cell_columns;  ///< cells of a plane: with a pool, those of its output
  PoolPart::Kind pool;
  ActivationFunction activation;

  LENET_FLOW_HOST_DEVICE int taps() const { return kernel_rows * kernel_columns; }
  LENET_FLOW_HOST_DEVICE int cells() const { return cell_rows * cell_columns; }
  LENET_FLOW_HOST_DEVICE int positions() const { return rows * columns; }
  LENET_FLOW_HOST_DEVICE std::int64_t weights() const { return std::int64_t{outputs} * inputs * taps(); }
  /// Elements of one image's output of the whole chain.
  LENET_FLOW_HOST_DEVICE std::int64_t output_elements() const {
    return std::int64_t{outputs} * (pool == PoolPart::Kind::none ? positions() : cells());
  }
  __device__ float pool_taps() const { return static_cast<float>(cell) * static_cast<float>(cell); }
};

/// What backward needs of forward beside the output. max_pool: a byte for every output, which element of its cell is
/// the greatest (row * cell + column). avg_pool: the activations. Otherwise nothing.
struct ChainSaved {
  std::uint8_t* places;
  float* activations;

  static std::size_t bytes(const ChainSizes& sizes, std::int64_t images) {
    const auto count = static_cast<std::size_t>(images * sizes.outputs);
    if (sizes.pool == PoolPart::Kind::maximum) return count * static_cast<std::size_t>(sizes.cells());
    if (sizes.pool == PoolPart::Kind::average)
      return count * static_cast<std::size_t>(sizes.positions()) * sizeof(float);
    return 0;
  }
  ChainSaved(const ChainSizes& sizes, std::span<std::byte> saved)
      : places(sizes.pool == PoolPart::Kind::maximum ? reinterpret_cast<std::uint8_t*>(saved.data()) : nullptr),
        activations(sizes.pool == PoolPart::Kind::average ? reinterpret_cast<float*>(saved.data()) : nullptr) {}
};

/// The gradient that comes out of pool and activation: what the convolution's own kernels would read from memory.
struct ChainGradients {
  ChainSizes sizes;
  ChainSaved saved;
  const float *outputs, *output_gradients;

  /// At one position of the convolution's output; `plane` counts images and output channels.
  __device__ float at(std::int64_t plane, int row, int column) const {
    const std::int64_t position = plane * sizes.positions() + row * sizes.columns + column;
    if (sizes.pool == PoolPart::Kind::none)
      return sizes.activation.gradient(outputs[position], output_gradients[position]);
    const int cell_row = row / sizes.cell, cell_column = column / sizes.cell;
    if (cell_row >= sizes.cell_rows || cell_column >= sizes.cell_columns) return 0;
    const std::int64_t cell = plane * sizes.cells() + cell_row * sizes.cell_columns + cell_column;
    if (sizes.pool == PoolPart::Kind::average)
      return sizes.activation.gradient(saved.activations[position], output_gradients[cell] / sizes.pool_taps());
    const int place = row % sizes.cell * sizes.cell + column % sizes.cell;
    return saved.places[cell] == place ? at_greatest(cell) : 0.0f;
  }
  /// max_pool: at the greatest element of a cell.
  __device__ float at_greatest(std::int64_t cell) const {
    return sizes.activation.gradient(outputs[cell], output_gradients[cell]);
  }
};

/// A window of an image's planes in shared memory, zero outside of the image: element (row, column) is the image's
/// (row - before_rows, column - before_columns).
__device__ inline void load_planes(Shared<float>* to, int rows, int columns, const float* image, int channels,
                                   const ChainSizes& sizes) {
  const int plane = rows * columns;
  for (int i = static_cast<int>(threadIdx.x); i < channels * plane; i += static_cast<int>(blockDim.x)) {
    const int channel = i / plane, row = i % plane / columns - sizes.before_rows;
    const int column = i % columns - sizes.before_columns;
    const bool inside = row >= 0 && row < sizes.height && column >= 0 && column < sizes.width;
    to[i] = inside ? image[(std::int64_t{channel} * sizes.height + row) * sizes.width + column] : 0.0f;
  }
}

}  // namespace lenet_flow

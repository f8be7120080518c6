#pragma once

#include <algorithm>
#include <cstdint>

#include "devices/cuda/launch.cuh"
#include "devices/host_device.h"
#include "layers/cuda/shared.cuh"

namespace lenet_flow {

/// How W cuts the sum over a micro-batch's images: into `chunks` runs of `images_per_chunk` images (the last may be
/// shorter). A chunk is summed from zero in the order of its images, then the chunks' sums are added up by
/// add_partial_sums(). A function of the gradient's elements and the number of images alone, so that all kernels of a
/// layer, which must give the same bits, cut alike.
struct ImageChunks {
  std::int64_t chunks, images_per_chunk;

  /// `least`: images that are worth a chunk.
  ImageChunks(std::int64_t elements, std::int64_t images, std::int64_t least) {
    constexpr std::int64_t most_partial_floats = 1 << 20, most_chunks = 2048;
    const std::int64_t most = std::clamp<std::int64_t>(most_partial_floats / elements, 1, most_chunks);
    images_per_chunk = std::max(least, (images + most - 1) / most);
    chunks = (images + images_per_chunk - 1) / images_per_chunk;
  }
};

/// A layer's gradients as one array: `weights` of weights, then those of biases (null: none).
struct GradientArrays {
  float *weights, *biases;
  std::int64_t weight_elements, bias_elements;

  LENET_FLOW_HOST_DEVICE std::int64_t elements() const { return weight_elements + bias_elements; }
  __device__ float* element(std::int64_t i) const {
    return i < weight_elements ? weights + i : biases + (i - weight_elements);
  }
};

constexpr unsigned partial_columns = 32, partial_rows = 16;

/// to[i] = sum of partial[chunk][i]: row r of a block's threads adds chunks r, r + 16, ... in their order, then the
/// rows are added in theirs. A thread's column is an element.
template <unsigned columns>
__global__ void add_partial_sums(const float* partial, std::int64_t chunks, GradientArrays to) {
  __shared__ Shared<float> sums[partial_rows][columns];
  const unsigned x = threadIdx.x % columns, y = threadIdx.x / columns;
  const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * columns + x;
  float sum = 0;
  if (i < to.elements())
    for (std::int64_t chunk = y; chunk < chunks; chunk += partial_rows) sum += partial[chunk * to.elements() + i];
  sums[y][x] = sum;
  __syncthreads();
  if (y != 0 || i >= to.elements()) return;
  for (unsigned row = 1; row < partial_rows; ++row) sum += sums[row][x];
  *to.element(i) = sum;
}

inline void add_up(const WorkQueue& queue, const char* name, const float* partial, std::int64_t chunks,
                   const GradientArrays& to) {
  const auto blocks = static_cast<unsigned>((to.elements() + partial_columns - 1) / partial_columns);
  launch(queue, name, {.blocks = blocks, .threads = partial_columns * partial_rows}, add_partial_sums<partial_columns>,
         partial, chunks, to);
}

/// Floats of the partial sums of a micro-batch of `images`.
inline std::size_t partial_bytes(std::int64_t elements, std::int64_t images, std::int64_t least) {
  // Fewer images may be cut into more chunks than many are.
  const std::int64_t most = std::max<std::int64_t>(1, ImageChunks(elements, 1 << 30, least).chunks);
  return static_cast<std::size_t>(std::min(most + 1, std::max<std::int64_t>(1, images)) * elements) * sizeof(float);
}

}  // namespace lenet_flow

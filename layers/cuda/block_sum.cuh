#pragma once

#include "layers/cuda/shared.cuh"

namespace lenet_flow {

constexpr unsigned warp_threads = 32, whole_warp = 0xFFFFFFFF;

/// The sum of every thread's `value`, given to every thread: over a warp by a butterfly, then warp by warp in their
/// order. The order depends on the number of threads alone. All threads of the block must call it; whole warps.
template <typename T>
__device__ T block_sum(T value) {
  __shared__ Shared<T> warps[32];
  for (unsigned distance = warp_threads / 2; distance > 0; distance /= 2)
    value += __shfl_xor_sync(whole_warp, value, static_cast<int>(distance));
  __syncthreads();  // every thread has read the sum before
  if (threadIdx.x % warp_threads == 0) warps[threadIdx.x / warp_threads] = value;
  __syncthreads();
  T sum = warps[0];
  for (unsigned warp = 1; warp < blockDim.x / warp_threads; ++warp) sum += warps[warp];
  return sum;
}

}  // namespace lenet_flow

#pragma once

#include <cuda_runtime.h>

namespace lenet_flow {

/// A number in shared memory: `__shared__ Shared<float> sums[32];`. On a GPU it is a T and nothing more; under the
/// tests' emulation (tests/cuda_emulation) it tells of races.
#ifdef __CUDACC__
template <typename T>
using Shared = T;
#else
using cuda_emulation::Shared;
#endif

/// Most floats of dynamic_shared(): 48 KiB, what every GPU gives a block that does not ask for more.
constexpr int most_shared_floats = 12288;

/// The shared memory that a launch gives its blocks (LaunchShape::shared_floats), aligned to 16 bytes.
inline __device__ Shared<float>* dynamic_shared() {
#ifdef __CUDACC__
  extern __shared__ __align__(16) float dynamic_shared_floats[];
  return dynamic_shared_floats;
#else
  static Shared<float> dynamic_shared_floats[most_shared_floats];
  return dynamic_shared_floats;
#endif
}

}  // namespace lenet_flow

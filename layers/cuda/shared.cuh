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

}  // namespace lenet_flow

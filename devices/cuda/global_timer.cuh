#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#ifndef __CUDA_ARCH__
#include <chrono>
#endif

namespace lenet_flow {

/// Nanoseconds of the GPU's clock that all its multiprocessors share; its steps are up to a microsecond or more. Where
/// kernels are emulated, those of the host's steady clock.
__device__ inline std::int64_t global_nanoseconds() {
#ifdef __CUDA_ARCH__
  std::uint64_t now;
  asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(now));
  return static_cast<std::int64_t>(now);
#else
  using std::chrono::nanoseconds;
  return std::chrono::duration_cast<nanoseconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
#endif
}

}  // namespace lenet_flow

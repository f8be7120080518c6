#pragma once

/// Stands in for the CUDA Toolkit's header of this name where .cu files are compiled as plain C++ for tests: the part
/// of CUDA's language and runtime that this program uses, and nothing else. Streams are empty: what is put on one is
/// done when the call returns.

#include <cmath>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <source_location>
#include <type_traits>
#include <utility>

#include "tests/cuda_emulation/memory.h"
#include "tests/cuda_emulation/scheduler.h"

// --- The language.

#define __global__
#define __device__
#define __host__
#define __shared__ static  // one block runs at a time

inline const cuda_emulation::Index3 &threadIdx = cuda_emulation::place.thread, &blockIdx = cuda_emulation::place.block;
inline const cuda_emulation::Extent3 &blockDim = cuda_emulation::place.block_extent,
                                     &gridDim = cuda_emulation::place.grid_extent;
using dim3 = cuda_emulation::Extent3;

inline void __syncthreads(const std::source_location& site = std::source_location::current()) {
  cuda_emulation::synchronize_threads(site);
}

namespace cuda_emulation {

/// A number in shared memory that knows who reads and writes it. On a GPU a plain number (layers/cuda/shared.cuh).
template <typename T>
class Shared {
 public:
  Shared() = default;
  Shared(const Shared&) = delete;
  Shared& operator=(const Shared& other) { return *this = static_cast<T>(other); }
  Shared& operator=(T value) {
    record_.write();
    value_ = value;
    return *this;
  }
  operator T() const {  // NOLINT: reads like a number
    record_.read();
    return value_;
  }
  Shared& operator+=(T value) { return *this = static_cast<T>(*this) + value; }

 private:
  T value_{};
  mutable AccessRecord record_;
};

template <typename T>
T shuffle(unsigned mask, T value, unsigned source, const std::source_location& site) {
  static_assert(sizeof(T) <= sizeof(std::uint64_t) && std::is_arithmetic_v<T>);
  std::uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof(T));
  bits = shuffle(mask, bits, source, site);
  std::memcpy(&value, &bits, sizeof(T));
  return value;
}

}  // namespace cuda_emulation

// Shuffles of whole warps. A lane that would read beyond the warp gets its own value.
template <typename T>
T __shfl_sync(unsigned mask, T value, int source, const std::source_location& site = std::source_location::current()) {
  return cuda_emulation::shuffle(mask, value, static_cast<unsigned>(source) % 32, site);
}
template <typename T>
T __shfl_xor_sync(unsigned mask, T value, int lanes,
                  const std::source_location& site = std::source_location::current()) {
  return cuda_emulation::shuffle(mask, value, (cuda_emulation::lane() ^ static_cast<unsigned>(lanes)) % 32, site);
}
template <typename T>
T __shfl_down_sync(unsigned mask, T value, unsigned distance,
                   const std::source_location& site = std::source_location::current()) {
  const unsigned lane = cuda_emulation::lane();
  return cuda_emulation::shuffle(mask, value, lane + distance < 32 ? lane + distance : lane, site);
}

/// Atomics of whole numbers alone: a sum of floats in an order of chance has other bits every time.
template <std::integral T>
T atomicAdd(T* address, T value) {
  return std::exchange(*address, static_cast<T>(*address + value));
}

// --- The runtime.

enum cudaError_t {
  cudaSuccess = 0,
  cudaErrorInvalidValue = 1,
  cudaErrorMemoryAllocation = 2,
  cudaErrorInsufficientDriver = 35,
  cudaErrorNoDevice = 100,
  cudaErrorInvalidDevice = 101,
};
enum cudaMemcpyKind { cudaMemcpyHostToDevice = 1, cudaMemcpyDeviceToHost = 2, cudaMemcpyDeviceToDevice = 3 };
constexpr unsigned cudaStreamNonBlocking = 1;

struct cudaDeviceProp {
  char name[256];
  std::size_t totalGlobalMem;
  int major, minor, multiProcessorCount;
};

struct CUstream_st {};
using cudaStream_t = CUstream_st*;

struct cudaLaunchConfig_t {
  dim3 gridDim, blockDim;
  std::size_t dynamicSmemBytes = 0;
  cudaStream_t stream = nullptr;
};

const char* cudaGetErrorName(cudaError_t error);
const char* cudaGetErrorString(cudaError_t error);
cudaError_t cudaGetLastError();
cudaError_t cudaSetDevice(int device);
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device);
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags);
cudaError_t cudaStreamDestroy(cudaStream_t stream);
cudaError_t cudaStreamSynchronize(cudaStream_t stream);
cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total);
cudaError_t cudaMalloc(void** block, std::size_t bytes);
cudaError_t cudaFree(void* block);
cudaError_t cudaMemsetAsync(void* to, int value, std::size_t bytes, cudaStream_t stream);
/// Throws cuda_emulation::Problem where an end is not in the memory that `kind` says.
cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind, cudaStream_t stream);
cudaError_t cudaMemcpy2DAsync(void* to, std::size_t to_pitch, const void* from, std::size_t from_pitch,
                              std::size_t width, std::size_t height, cudaMemcpyKind kind, cudaStream_t stream);

namespace cuda_emulation {

/// Throws Problem where a kernel is given a pointer to what is not the device's memory.
template <typename T>
void check_argument(const T& argument) {
  if constexpr (std::is_pointer_v<T>)
    if (argument != nullptr && !is_device_memory(argument, 0))
      throw Problem("a kernel is given a pointer to memory that is not the device's");
}

}  // namespace cuda_emulation

template <typename... Parameters, typename... Arguments>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t* config, void (*kernel)(Parameters...),
                               Arguments&&... arguments) {
  (cuda_emulation::check_argument<Parameters>(arguments), ...);
  auto body = [&] { kernel(arguments...); };
  cuda_emulation::run_grid(
      config->gridDim, config->blockDim, [](void* run) { (*static_cast<decltype(body)*>(run))(); }, &body);
  return cudaSuccess;
}

#pragma once

/// Stands in for the CUDA Toolkit's header of this name where .cu files are compiled as plain C++ for tests: the part
/// of CUDA's language and runtime that this program uses, and nothing else. When the work of streams is done:
/// emulation.h.

#include <cmath>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <tuple>
#include <type_traits>
#include <utility>

#include "tests/cuda_emulation/devices.h"
#include "tests/cuda_emulation/emulation.h"
#include "tests/cuda_emulation/runtime_api.h"
#include "tests/cuda_emulation/scheduler.h"
#include "tests/cuda_emulation/streams.h"

// --- The language.

#define __global__
#define __device__
#define __host__
#define __shared__ static  // one block runs at a time

inline const cuda_emulation::Index3 &threadIdx = cuda_emulation::place.thread, &blockIdx = cuda_emulation::place.block;
inline const cuda_emulation::Extent3 &blockDim = cuda_emulation::place.block_extent,
                                     &gridDim = cuda_emulation::place.grid_extent;

inline void __syncthreads(const cuda_emulation::Site& site = cuda_emulation::Site::current()) {
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
T shuffle(unsigned mask, T value, unsigned source, const cuda_emulation::Site& site) {
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
T __shfl_sync(unsigned mask, T value, int source, const cuda_emulation::Site& site = cuda_emulation::Site::current()) {
  return cuda_emulation::shuffle(mask, value, static_cast<unsigned>(source) % 32, site);
}
template <typename T>
T __shfl_xor_sync(unsigned mask, T value, int lanes,
                  const cuda_emulation::Site& site = cuda_emulation::Site::current()) {
  return cuda_emulation::shuffle(mask, value, (cuda_emulation::lane() ^ static_cast<unsigned>(lanes)) % 32, site);
}
template <typename T>
T __shfl_down_sync(unsigned mask, T value, unsigned distance,
                   const cuda_emulation::Site& site = cuda_emulation::Site::current()) {
  const unsigned lane = cuda_emulation::lane();
  return cuda_emulation::shuffle(mask, value, lane + distance < 32 ? lane + distance : lane, site);
}

/// Atomics of whole numbers alone: a sum of floats in an order of chance has other bits every time.
template <std::integral T>
T atomicAdd(T* address, T value) {
  return std::exchange(*address, static_cast<T>(*address + value));
}

// --- Launches.

namespace cuda_emulation {

/// Throws Problem where a kernel on `device` is given a pointer to memory that it cannot use.
template <typename T>
void check_argument(int device, const T& argument) {
  if constexpr (std::is_pointer_v<T>)
    if (argument != nullptr && !can_reach(device, argument))
      throw Problem("a kernel is given a pointer to memory that is not the device's");
}

}  // namespace cuda_emulation

/// The kernel gets copies of the arguments, made now, as a GPU's does.
template <typename... Parameters, typename... Arguments>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t* config, void (*kernel)(Parameters...),
                               Arguments&&... arguments) {
  auto work = [kernel, grid = config->gridDim, block = config->blockDim,
               copies = std::tuple<Parameters...>{static_cast<Parameters>(arguments)...}](int device) {
    auto body = [&] { std::apply(kernel, copies); };
    std::apply([&](const Parameters&... copy) { (cuda_emulation::check_argument(device, copy), ...); }, copies);
    cuda_emulation::run_grid(
        grid, block, [](void* run) { (*static_cast<decltype(body)*>(run))(); }, &body);
  };
  return cuda_emulation::launch_kernel(config->stream, std::move(work));
}

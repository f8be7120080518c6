#include <cstring>

#include "tests/cuda_emulation/capture.h"
#include "tests/cuda_emulation/devices.h"
#include "tests/cuda_emulation/memory.h"
#include "tests/cuda_emulation/streams.h"

using cuda_emulation::call;
using cuda_emulation::call_on;
using cuda_emulation::Counters;
using cuda_emulation::current_device;
using cuda_emulation::owner_of;
using cuda_emulation::Problem;

namespace {

/// Counts as a wait too, since CUDA may wait for the device.
cudaError_t begin_allocation() {
  if (const cudaError_t error = cuda_emulation::forbid_in_capture()) return error;
  count(&Counters::synchronizations);
  count(&Counters::allocations);
  return cudaSuccess;
}

cudaError_t allocate(int owner, void** block, std::size_t bytes) {
  if (const cudaError_t error = begin_allocation()) return error;
  *block = cuda_emulation::allocate_memory(owner, bytes);
  return *block ? cudaSuccess : cudaErrorMemoryAllocation;
}

/// Gives memory back by release(), after all work of the device. Done also where the device is lost or hangs, whose
/// error is returned then.
template <typename Release>
cudaError_t release_memory(Release release, cudaError_t unknown) {
  return call([&] {
    if (const cudaError_t error = cuda_emulation::forbid_in_capture()) return error;
    count(&Counters::synchronizations);
    const cudaError_t error =
        cuda_emulation::run_until(current_device, [] { return cuda_emulation::is_device_done(current_device); });
    return release() ? error : unknown;
  });
}

cudaError_t free_block(void* block, bool of_host) {
  if (block == nullptr) return cudaSuccess;
  return release_memory([&] { return cuda_emulation::free_memory(block, of_host); }, cudaErrorInvalidValue);
}

/// One end of a copy, of rows one after another.
struct End {
  std::byte* first;
  std::size_t pitch;

  explicit End(const void* at, std::size_t bytes_between_rows)
      : first(static_cast<std::byte*>(const_cast<void*>(at))), pitch(bytes_between_rows) {}
  std::size_t extent(std::size_t width, std::size_t height) const { return (height - 1) * pitch + width; }
};

void require(bool is_right, const char* what) {
  if (!is_right) throw Problem(what);
}

bool is_device_memory(const End& end, std::size_t bytes) {
  const cuda_emulation::Owner owner = owner_of(end.first, bytes);
  return owner.is_known && owner.number != cuda_emulation::host;
}

/// Throws Problem where an end is not in the memory that `kind` says.
void check_ends(const End& to, const End& from, std::size_t width, std::size_t height, cudaMemcpyKind kind) {
  const bool to_device = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
  const bool from_device = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
  const bool is_to_device = is_device_memory(to, to.extent(width, height));
  const bool is_from_device = is_device_memory(from, from.extent(width, height));
  require(is_to_device || !to_device, "a copy to what is not the device's memory");
  require(is_from_device || !from_device, "a copy from what is not the device's memory");
  if (kind == cudaMemcpyDefault) return;
  require(!is_to_device || to_device, "a copy to the host that goes to a device's memory");
  require(!is_from_device || from_device, "a copy from the host that comes from a device's memory");
}

cudaError_t copy(const End& to, const End& from, std::size_t width, std::size_t height, cudaMemcpyKind kind,
                 cudaStream_t stream) {
  if (width == 0 || height == 0) return cudaSuccess;
  try {
    check_ends(to, from, width, height, kind);
  } catch (const Problem& problem) {
    return cuda_emulation::refuse(problem.what(), cudaErrorInvalidValue);
  }
  CUstream_st& on = cuda_emulation::stream_of(stream);
  const bool is_pageable = !owner_of(to.first, to.extent(width, height)).is_known ||
                           !owner_of(from.first, from.extent(width, height)).is_known;
  if (is_pageable) {
    count(&Counters::pageable_copies);
    if (on.capture) return cuda_emulation::forbid_in_capture(&on);
  }
  const auto work = [=](int) {
    check_ends(to, from, width, height, kind);  // memory may be gone by now
    for (std::size_t row = 0; row < height; ++row)
      std::memcpy(to.first + row * to.pitch, from.first + row * from.pitch, width);
  };
  const cudaError_t result = cuda_emulation::put(on, work);
  if (result != cudaSuccess || !is_pageable) return result;
  return cuda_emulation::run_until(on.device, [&] { return on.is_done(); });
}

}  // namespace

cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total) {
  return call_on(current_device, [&] {
    *free = cuda_emulation::free_bytes(current_device);
    *total = cuda_emulation::total_bytes(current_device);
    return cudaSuccess;
  });
}

cudaError_t cudaMalloc(void** block, std::size_t bytes) {
  return call_on(current_device, [&] { return allocate(current_device, block, bytes); });
}

cudaError_t cudaFree(void* block) { return free_block(block, false); }

cudaError_t cudaHostAlloc(void** block, std::size_t bytes, unsigned flags) {
  return call_on(current_device, [&] {
    if ((flags & ~(cudaHostAllocPortable | cudaHostAllocMapped)) != 0) return cudaErrorInvalidValue;
    return allocate(cuda_emulation::host, block, bytes);
  });
}

cudaError_t cudaFreeHost(void* block) { return free_block(block, true); }

cudaError_t cudaHostRegister(void* at, std::size_t bytes, unsigned flags) {
  return call_on(current_device, [&] {
    if (at == nullptr || bytes == 0 || (flags & ~(cudaHostRegisterPortable | cudaHostRegisterMapped)) != 0)
      return cudaErrorInvalidValue;
    if (const cudaError_t error = begin_allocation()) return error;
    return cuda_emulation::register_memory(at, bytes) ? cudaSuccess : cudaErrorHostMemoryAlreadyRegistered;
  });
}

cudaError_t cudaHostUnregister(void* at) {
  return release_memory([&] { return cuda_emulation::unregister_memory(at); }, cudaErrorHostMemoryNotRegistered);
}

cudaError_t cudaMemsetAsync(void* to, int value, std::size_t bytes, cudaStream_t stream) {
  return call([&] {
    if (bytes == 0) return cudaSuccess;
    const auto check = [=] {
      require(is_device_memory(End(to, bytes), bytes), "memory is set that is not the device's");
    };
    try {
      check();
    } catch (const Problem& problem) {
      return cuda_emulation::refuse(problem.what(), cudaErrorInvalidValue);
    }
    return cuda_emulation::put(cuda_emulation::stream_of(stream), [=](int) {
      check();  // memory may be gone by now
      std::memset(to, value, bytes);
    });
  });
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
  return call([&] { return copy(End(to, bytes), End(from, bytes), bytes, 1, kind, stream); });
}

cudaError_t cudaMemcpy2DAsync(void* to, std::size_t to_pitch, const void* from, std::size_t from_pitch,
                              std::size_t width, std::size_t height, cudaMemcpyKind kind, cudaStream_t stream) {
  return call([&] {
    if (width > to_pitch || width > from_pitch) return cudaErrorInvalidValue;
    return copy(End(to, to_pitch), End(from, from_pitch), width, height, kind, stream);
  });
}

cudaError_t cudaMemcpyPeerAsync(void* to, int to_device, const void* from, int from_device, std::size_t bytes,
                                cudaStream_t stream) {
  return call([&] {
    if (bytes == 0) return cudaSuccess;
    if (owner_of(to, bytes).number != to_device)
      return cuda_emulation::refuse("a copy between devices to what is not that device's memory",
                                    cudaErrorInvalidValue);
    if (owner_of(from, bytes).number != from_device)
      return cuda_emulation::refuse("a copy between devices from what is not that device's memory",
                                    cudaErrorInvalidValue);
    return copy(End(to, bytes), End(from, bytes), bytes, 1, cudaMemcpyDeviceToDevice, stream);
  });
}

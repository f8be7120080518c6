#pragma once

#include <array>
#include <mutex>
#include <string>

#include "tests/cuda_emulation/emulation.h"

namespace cuda_emulation {

/// A countdown to something that is to go wrong.
struct Fault {
  std::int64_t in = 0;  ///< 0: never
  cudaError_t error = cudaSuccess;

  /// Counts one more; whether it is the one.
  bool comes() { return in > 0 && --in == 0; }
};

struct Device {
  cudaError_t error = cudaSuccess;  ///< what it was lost by
  Fault fails, hangs, refuses;
  std::array<bool, most_devices> reaches{};  ///< peers whose memory its kernels may use
};

/// Deferred where CUDA_EMULATION_ORDER=deferred.
Order order_of_environment();

/// What all calls share. A call holds the mutex from its beginning to its end, kernels included.
struct Runtime {
  std::mutex mutex;
  Order order = order_of_environment();
  int device_count = 2;
  bool peers_possible = true;
  std::array<Device, most_devices> devices;
  std::string last_problem;
  Counters counters;

  Device& device(int number) { return devices.at(static_cast<std::size_t>(number)); }
  bool has_device(int number) const { return number >= 0 && number < device_count; }
};
extern Runtime runtime;

// Of the calling thread.
extern thread_local int current_device;
extern thread_local cudaError_t last_error;
extern thread_local Counters thread_counters;

inline void count(std::int64_t Counters::*counter) {
  ++(runtime.counters.*counter);
  ++(thread_counters.*counter);
}

/// One call into the runtime: body() returns its result, which is noted for cudaGetLastError().
template <typename Body>
cudaError_t call(Body body) {
  const std::lock_guard lock(runtime.mutex);
  const cudaError_t result = body();
  if (result != cudaSuccess) last_error = result;
  return result;
}

/// The same for a call that concerns a device and does nothing where that is lost.
template <typename Body>
cudaError_t call_on(int device, Body body) {
  return call([&] {
    const cudaError_t error = runtime.device(device).error;
    return error == cudaSuccess ? body() : error;
  });
}

/// A call found something wrong with what it was given: throws Problem in immediate order, else notes the message and
/// returns `error`.
cudaError_t refuse(const std::string& problem, cudaError_t error);

/// Whether a kernel or copy on `device` can use the memory at `at`: its own, a peer's that it reaches, pinned memory.
bool can_reach(int device, const void* at);

}  // namespace cuda_emulation

#pragma once

/// What a test can ask of the emulated CUDA runtime beyond CUDA's own calls. All of it may be called by any thread.

#include <cstddef>
#include <cstdint>
#include <string>

#include "tests/cuda_emulation/runtime_api.h"

namespace cuda_emulation {

constexpr int most_devices = 8;

/// When the work of streams is done.
enum class Order {
  /// In the call that puts it there. A Problem comes out of that call.
  immediate,
  /// When somebody asks or waits: a query does some of the work of all streams, drawn at random, a wait as much as it
  /// takes. Streams keep their own order and wait for the events that they were told to wait for, and for nothing else,
  /// so that one that was not told of an event reads old data for some seeds (set_seed()). With seed 0 the work is done
  /// in the order in which it was put there. A Problem becomes cudaErrorLaunchFailure of its device.
  deferred,
};

/// Everything as at the start: immediate order (deferred where the environment has CUDA_EMULATION_ORDER=deferred), two
/// devices, no faults, limits, errors or peer access; counters at
/// 0, work that was not done forgotten. What was allocated stays.
void reset();
void set_order(Order order);
/// How many devices there are, up to most_devices.
void set_device_count(int count);
/// Whether devices could reach each other's memory (cudaDeviceCanAccessPeer).
void set_peer_access_possible(bool possible);
/// The message of the last Problem that did not come out of a call; empty where there was none.
std::string last_problem();

/// Bytes of a device, free and all together.
std::size_t free_device_bytes(int device = 0);
std::size_t total_device_bytes(int device = 0);
/// Sets the size of a device's memory, or of all pinned host memory; 0: as much as the host gives. For tests of what
/// happens when it is full.
void set_device_bytes(std::size_t bytes, int device = 0);
void set_pinned_bytes(std::size_t bytes);

// Faults. An operation is a kernel, copy or memset, also one of a graph; the `number`th from now has number 1.

/// It fails while it runs: the device is lost, and every later call that concerns it returns the error.
void fail_operation(int device, std::int64_t number, cudaError_t error);
/// It never ends, nor does what comes after it in its stream or waits for that. A call that would wait for ever counts
/// as one (Counters::endless_waits) and returns cudaErrorLaunchTimeout.
void hang_operation(int device, std::int64_t number);
/// The call that would put it, or a graph, on a stream returns the error and does nothing else. Counts such calls.
void refuse_operation(int device, std::int64_t number, cudaError_t error);

/// Calls that a run must not make after its first batch.
struct Counters {
  std::int64_t allocations = 0;       ///< of memory of devices and hosts, registrations, new streams, events and graphs
  std::int64_t synchronizations = 0;  ///< calls that wait; allocating and freeing wait too
  std::int64_t pageable_copies = 0;   ///< asynchronous copies to or from host memory that is not pinned: they wait
  std::int64_t endless_waits = 0;     ///< calls that would have waited for ever
};
Counters counters();            ///< of all threads
Counters counters_of_thread();  ///< of the calling one

}  // namespace cuda_emulation

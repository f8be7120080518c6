#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <vector>

#include "tests/cuda_emulation/runtime_api.h"

namespace cuda_emulation {

/// A kernel, copy or memset, to be done by a device. Throws Problem.
using Work = std::function<void(int device)>;

/// That a place in a stream was reached.
struct Completion {
  bool is_done = false;
  std::chrono::steady_clock::time_point time;
};

/// One thing in a stream: waits for `after`, does `work`, then tells `completes`; any of them may be null.
struct Entry {
  std::shared_ptr<const Completion> after;
  Work work;
  std::shared_ptr<Completion> completes;
  std::uint64_t number = 0;  ///< counts what was put on all streams
};

struct Capture;

}  // namespace cuda_emulation

struct CUstream_st {
  bool is_done() const { return entries.empty() && !hangs; }

  int device = 0;
  bool is_destroyed = false;  ///< goes when it is done
  bool hangs = false;         ///< at work that never ends
  std::deque<cuda_emulation::Entry> entries;
  // While it captures: into what, and the nodes that the next one comes after.
  std::shared_ptr<cuda_emulation::Capture> capture;
  std::vector<std::size_t> last_nodes;
};

struct CUevent_st {
  int device = 0;
  bool is_timed = true;
  std::shared_ptr<cuda_emulation::Completion> completion;  ///< of the last record; null before the first
  // Where the last record was captured: in what, and after which nodes.
  std::shared_ptr<cuda_emulation::Capture> capture;
  std::vector<std::size_t> nodes;
};

namespace cuda_emulation {

// The caller of these holds the runtime's lock.

cudaStream_t make_stream(int device);
void destroy_stream(cudaStream_t stream);
/// The stream, or, for null, the current device's default one.
CUstream_st& stream_of(cudaStream_t stream);

/// Puts work on a stream, or into what the stream captures.
cudaError_t put(CUstream_st& stream, Work work);
/// Puts an entry on a stream that does not capture; in immediate order does it, as far as the stream can go on.
cudaError_t enqueue(CUstream_st& stream, Entry entry);
/// Does work as one operation of the device, or the fault that was ordered for it.
void perform(const Work& work, int device);

/// Does some of what is ready, none perhaps.
void run_some();
/// Does what is ready, drawn at random, until is_done(). Returns an error where that can never be.
cudaError_t run_until(int device, const std::function<bool()>& is_done);
bool is_device_done(int device);
/// Empties all streams.
void forget_work();

/// Puts a kernel on a stream; takes the lock. For cudaLaunchKernelEx().
cudaError_t launch_kernel(cudaStream_t stream, Work work);

}  // namespace cuda_emulation

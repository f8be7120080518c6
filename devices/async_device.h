#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "devices/cuda_code.h"
#include "devices/device.h"

namespace lenet_flow {

/// A place in a queue, reached when all that was put there before it is done. Made once, recorded again and again.
class Mark {
 public:
  virtual ~Mark() = default;
};

/// Work that was recorded off a queue and can be put on one again as one piece, with the same addresses and numbers.
class Recording {
 public:
  virtual ~Recording() = default;
};

/// Host memory that a device reads and writes at full speed, without the host's help, while this lives.
class PinnedMemory {
 public:
  virtual ~PinnedMemory() = default;
};

/// A device that is given work and does it later: a GPU. It has queues whose work runs in their order; work of
/// different queues is ordered by marks alone. Nothing here waits for the device but what says so, and all calls that
/// put work on its queues come from one thread at a time (run_host()). What fails while it runs is thrown by a later
/// call, and by all after that: the device is lost then.
class AsyncDevice : public Device {
 public:
  using Device::Device;

  /// A new queue of kernels, which lives as long as the device. For set-up: may wait.
  virtual WorkQueue& make_queue() = 0;
  /// The queues of copies into this device's memory and out of it.
  virtual WorkQueue& copies_in() = 0;
  virtual WorkQueue& copies_out() = 0;

  virtual std::unique_ptr<Mark> make_mark() = 0;
  virtual void record(Mark& mark, WorkQueue& queue) = 0;
  /// What is put on `queue` from now on waits for a mark that is recorded, of this device or another.
  virtual void wait(WorkQueue& queue, const Mark& mark) = 0;
  /// Whether the mark, as recorded last, is reached. Does not wait.
  virtual bool reached(const Mark& mark) = 0;

  /// From here to end_recording() what is put on `queue` is recorded instead of done.
  virtual void begin_recording(WorkQueue& queue) = 0;
  virtual std::unique_ptr<Recording> end_recording(WorkQueue& queue) = 0;
  virtual void play(Recording& recording, WorkQueue& queue) = 0;

  /// Copies `floats` floats as part of a queue's work. Each end may lie in this device's memory, in another one's of
  /// its kind, or in pinned host memory.
  virtual void copy(WorkQueue& queue, const float* from, float* to, std::int64_t floats) = 0;
  /// Writes the device's clock, in nanoseconds, to pinned host memory when the queue comes to it.
  virtual void stamp(WorkQueue& queue, std::int64_t* at) = 0;

  /// Lets copies from and to another device of this kind go straight, where the machine can do that; else they go
  /// through host memory. For set-up: may wait.
  virtual void reach(AsyncDevice& other) = 0;
  /// Zeroed pinned host memory that lives as long as the device; kernels of the device may read and write it as it is.
  /// For set-up: may wait. Throws std::bad_alloc.
  virtual std::byte* allocate_host(std::size_t bytes) = 0;
  /// Pins memory that is there already. For set-up: may wait.
  virtual std::unique_ptr<PinnedMemory> pin(std::span<std::byte> memory) = 0;
  /// Waits for all that is on a queue. For set-up and for tests.
  virtual void finish(WorkQueue& queue) = 0;
};

/// GPU `index` (as the CUDA runtime counts) as the device `name`. Null address in a build without CUDA
/// (devices/cuda_code.h). Throws std::runtime_error where there is no such GPU.
LENET_FLOW_CUDA_CODE std::unique_ptr<AsyncDevice> open_cuda_device(const std::string& name, int index);
/// GPUs that the CUDA runtime sees: 0 where it, the driver or a GPU is missing. Null address in a build without CUDA.
LENET_FLOW_CUDA_CODE int count_cuda_devices();

}  // namespace lenet_flow

#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "devices/tensor.h"
#include "devices/work_queue.h"

namespace lenet_flow {

/// Something that runs kernels and owns memory. The engine knows devices only through this interface.
/// A device's memory is planned before the first micro-batch: the engine asks for a few large blocks and cuts them.
class Device {
 public:
  explicit Device(std::string name) : name_(std::move(name)) {}
  virtual ~Device() = default;
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  /// The name that the graph file gives it ("cpu0").
  const std::string& name() const { return name_; }
  virtual DeviceKind kind() const = 0;
  /// One line for tables: "1 core (0)", "NVIDIA H200".
  virtual std::string description() const = 0;
  /// Where kernels of this device put their work.
  virtual WorkQueue& queue() = 0;

  /// Runs `body` in the calling thread as this device's host thread and returns when it returns: the thread is pinned
  /// to where the device wants its host work, and what it spawns stays with the device. One thread at a time.
  virtual void run_host(const std::function<void()>& body) = 0;

  /// A block of zeroed memory aligned to 64 bytes, owned by the device until it is destroyed. Throws
  /// std::bad_alloc where there is not that much.
  virtual std::byte* allocate(std::size_t bytes) = 0;
  /// Bytes and number of the blocks that allocate() gave.
  std::size_t allocated_bytes() const { return allocated_bytes_; }
  std::size_t allocations() const { return allocations_; }

  /// Floats that `images` images of `shape` take in this kind's layout, padding included.
  virtual std::int64_t activation_floats(const Shape& shape, std::int64_t images) const = 0;
  /// Standard layout [image][channel][row][column] in host memory -> this kind's layout. `from` holds
  /// to.elements() floats.
  virtual void write_activation(std::span<const float> from, const Tensor& to) = 0;
  /// This kind's layout -> standard layout in host memory.
  virtual void read_activation(const Tensor& from, std::span<float> to) = 0;
  /// Parameters have the standard layout everywhere; these only cross between host and device memory.
  virtual void write_parameter(std::span<const float> from, const ParameterView& to) = 0;
  virtual void read_parameter(const ParameterView& from, std::span<float> to) = 0;

  /// Bytes as they are, between host memory and this device's: what kernels read beside tensors (labels, the numbers
  /// of the images) and what they write beside them.
  virtual void write_bytes(std::span<const std::byte> from, std::byte* to) = 0;
  virtual void read_bytes(const std::byte* from, std::span<std::byte> to) = 0;

  /// to[i] += from[i] for `floats` floats of this device's memory; where `first`, to[i] = from[i]. Elementwise, so
  /// it works on any layout. Done when a kernel put on `queue` (one of this device's) now would be: on a CPU when it
  /// returns.
  virtual void accumulate(WorkQueue& queue, const float* from, float* to, std::int64_t floats, bool first) = 0;

 protected:
  void count_allocation(std::size_t bytes) {
    allocated_bytes_ += bytes;
    ++allocations_;
  }

 private:
  std::string name_;
  std::size_t allocated_bytes_ = 0, allocations_ = 0;
};

/// Whether kernels of either device can read and write the other's tensors.
inline bool share_memory(const Device& a, const Device& b) {
  return &a == &b || (a.kind() == DeviceKind::cpu && b.kind() == DeviceKind::cpu);
}

}  // namespace lenet_flow

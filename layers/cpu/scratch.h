#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace lenet_flow {

/// An array a worker of a CpuQueue.
struct WorkerFloats {
  float* data = nullptr;
  std::int64_t stride = 0;

  float* of(int worker) const { return data + worker * stride; }
};

/// Cuts a kernel's workspace into aligned arrays. Without memory it only counts, so that one function says both how
/// much a pass needs and where its arrays lie.
class Scratch {
 public:
  Scratch() = default;
  explicit Scratch(std::span<std::byte> memory) : memory_(memory.data()) {}

  /// The next `count` floats, aligned to 64 bytes; null when only counting.
  float* floats(std::int64_t count) {
    std::byte* at = memory_ ? memory_ + used_ : nullptr;
    used_ += (static_cast<std::size_t>(count) * sizeof(float) + 63) / 64 * 64;
    return reinterpret_cast<float*>(at);
  }
  /// `count` floats for each of `workers` workers, each aligned to 64 bytes.
  WorkerFloats worker_floats(std::int64_t count, int workers) {
    const std::int64_t stride = (count + 15) / 16 * 16;
    return {floats(stride * workers), stride};
  }
  std::size_t used() const { return used_; }

 private:
  std::byte* memory_ = nullptr;
  std::size_t used_ = 0;
};

}  // namespace lenet_flow

#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace lenet_flow {

/// The CPU side of this machine, as this process may use it (affinity mask and cgroup taken into account). Found once
/// by hwloc.
class Machine {
 public:
  /// The machine that the program runs on. Safe from any thread.
  static const Machine& here();
  ~Machine();

  /// Numbers (as the operating system counts) of the logical cores that this process may run on, ascending.
  const std::vector<int>& cores() const { return cores_; }
  /// "AMD EPYC 9654", or "unknown CPU".
  const std::string& cpu_model() const { return cpu_model_; }
  std::uint64_t memory_bytes() const { return memory_bytes_; }
  /// Bytes that can still be allocated without swapping (MemAvailable of Linux, capped by the cgroup's limit).
  static std::uint64_t available_bytes();
  /// Sizes of one core's caches in bytes, level 1 (data) first.
  const std::vector<std::uint64_t>& cache_bytes() const { return cache_bytes_; }

  /// Pins the calling thread to these cores. Returns false where the system refuses (a core that this process may not
  /// use, no permission); the thread then stays where it was.
  bool pin_this_thread(const std::vector<int>& cores) const;

 private:
  Machine();
  struct Topology;
  std::unique_ptr<Topology> topology_;
  std::vector<int> cores_;
  std::string cpu_model_;
  std::uint64_t memory_bytes_ = 0;
  std::vector<std::uint64_t> cache_bytes_;
};

}  // namespace lenet_flow

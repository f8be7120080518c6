#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "devices/cuda_code.h"
#include "devices/gpus.h"

namespace lenet_flow {

/// Some CPU cores at work together.
struct CpuMeasure {
  int cores = 0;
  double flops = 0;  ///< single-precision operations a second; a multiply-add counts two
  double copy_bytes_per_second = 0, triad_bytes_per_second = 0;  ///< see MemoryBandwidth
};

/// A GPU by itself. "To done": from the host's call until the host sees an event behind the work as done.
struct GpuMeasure {
  int gpu = 0;
  double flops = 0;                  ///< of multiply-adds on registers, single precision
  double copy_bytes_per_second = 0;  ///< of its memory: read and written bytes of a copying kernel
  double launch_seconds = 0;         ///< the host's call that launches an empty kernel
  double launch_to_done_seconds = 0;
  double graph_launch_seconds = 0;  ///< the host's call that launches a CUDA graph of one empty kernel
  double graph_to_done_seconds = 0;
};

/// Copies of one size, one after the other.
struct SizedRate {
  std::uint64_t bytes = 0;
  double bytes_per_second = 0;
};

/// One direction between two memories.
struct LinkMeasure {
  std::string from, to;              ///< "cpu", "gpu0": a GPU with its index
  std::string way;                   ///< "pinned host memory", "direct", "through host memory"
  double latency_seconds = 0;        ///< of a copy of 4 bytes: from the host's call until an event behind it is seen
  std::vector<SizedRate> rates;      ///< ascending by size
  double both_bytes_per_second = 0;  ///< the sum of this direction and the other, both at work
};

/// All that was measured of a machine.
struct Measures {
  std::vector<CpuMeasure> cpus;  ///< one core, then all
  std::vector<GpuMeasure> gpus;
  std::vector<LinkMeasure> links;
};

/// How much work goes into measures of GPUs.
struct MeasureEffort {
  std::uint64_t largest_copy = std::uint64_t{256} << 20;  ///< bytes; the smallest is 4096
  std::uint64_t copied_bytes = std::uint64_t{512} << 20;  ///< by the kernel that copies
  int flop_rounds = 50'000;                               ///< multiply-adds in a row
  int launches = 200;
  int repeats = 5;  ///< the best one counts
};

/// One core, then all cores where there are several. Takes about a second for each.
std::vector<CpuMeasure> measure_cpus();

// Throw CudaError, and std::bad_alloc where memory is short.
LENET_FLOW_CUDA_CODE GpuMeasure measure_gpu(const Gpu& gpu, const MeasureEffort& effort);
/// Host memory and this GPU, each direction.
LENET_FLOW_CUDA_CODE std::vector<LinkMeasure> measure_host_links(const Gpu& gpu, const MeasureEffort& effort);
/// These two GPUs, each direction.
LENET_FLOW_CUDA_CODE std::vector<LinkMeasure> measure_peer_links(const Gpu& a, const Gpu& b,
                                                                 const MeasureEffort& effort);

/// Everything. What fails is left out, with a line in `warnings`.
Measures measure_machine(const GpuSearch& search, std::vector<std::string>& warnings);

}  // namespace lenet_flow

#pragma once

#include <cstdint>

#include "devices/cuda/cuda_queue.h"

namespace lenet_flow {

// Kernels that do nothing but take time, for measures.

/// One thread that returns at once.
void run_empty_kernel(const CudaQueue& queue);

/// `rounds` dependent multiply-adds for each of several sums a thread. `sink`: a float a thread. Returns how many
/// floating-point operations that is.
double run_multiply_adds(const CudaQueue& queue, unsigned blocks, unsigned threads, int rounds, float* sink);

/// to[i] = from[i], by a kernel: what layers do with memory, unlike the copy engines.
void run_copy(const CudaQueue& queue, const float* from, float* to, std::int64_t floats);

}  // namespace lenet_flow

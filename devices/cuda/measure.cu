#include "devices/cuda/measure.h"

#include <cmath>

#include "devices/cuda/launch.cuh"

namespace lenet_flow {
namespace {

constexpr int sums = 8;  // enough to hide a multiply-add's latency, with all the warps that a GPU keeps

__global__ void empty() {}

__global__ void multiply_add(int rounds, float* sink) {
  float sum[sums];
  for (int i = 0; i < sums; ++i) sum[i] = static_cast<float>(i);
  // Values tend to 2: neither denormal nor infinite numbers come up.
  for (int round = 0; round < rounds; ++round)
    for (int i = 0; i < sums; ++i) sum[i] = fmaf(sum[i], 0.5F, 1.0F);
  for (int i = 1; i < sums; ++i) sum[0] += sum[i];
  sink[static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x] = sum[0];
}

__global__ void copy(const float* from, float* to, std::int64_t floats) {
  for_each_element(floats, [&](std::int64_t i) { to[i] = from[i]; });
}

}  // namespace

void run_empty_kernel(const CudaQueue& queue) { launch(queue, "empty", {1, 1}, empty); }

double run_multiply_adds(const CudaQueue& queue, unsigned blocks, unsigned threads, int rounds, float* sink) {
  launch(queue, "multiply-adds", {blocks, threads}, multiply_add, rounds, sink);
  return 2.0 * sums * rounds * blocks * threads;
}

void run_copy(const CudaQueue& queue, const float* from, float* to, std::int64_t floats) {
  launch(queue, "copy", over_elements(floats), copy, from, to, floats);
}

}  // namespace lenet_flow

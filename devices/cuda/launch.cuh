#pragma once

#include <cuda_runtime.h>
#include <nvtx3/nvToolsExt.h>

#include <algorithm>
#include <cstdint>
#include <utility>

#include "devices/cuda/cuda_error.h"
#include "devices/cuda/cuda_queue.h"

namespace lenet_flow {

/// Blocks of a launch and threads of a block. A kernel's results do not depend on them, but where it says so.
struct LaunchShape {
  unsigned blocks = 1;
  unsigned threads = 1;
  unsigned rows = 1;  ///< of blocks (gridDim.y)
  /// Shared memory beside what the kernel declares (dynamic_shared() of layers/cuda/shared.cuh).
  std::int64_t shared_floats = 0;
};

/// A thread an element, or, where there are very many, a thread for every few: for kernels that go through their
/// elements with for_each_element().
inline LaunchShape over_elements(std::int64_t elements) {
  constexpr std::int64_t threads = 256, most_blocks = 1 << 16;
  return {static_cast<unsigned>(std::min((elements + threads - 1) / threads, most_blocks)), threads};
}

/// A range on the host's line of Nsight Systems, from here to the end of the scope.
class NvtxRange {
 public:
  explicit NvtxRange(const char* name) { nvtxRangePushA(name); }
  ~NvtxRange() { nvtxRangePop(); }
  NvtxRange(const NvtxRange&) = delete;
  NvtxRange& operator=(const NvtxRange&) = delete;
};

inline cudaStream_t stream_of(const WorkQueue& queue) { return static_cast<const CudaQueue&>(queue).stream(); }

/// Puts one launch of `kernel` on the queue, under `name` ("conv2d forward"), and returns at once. Throws CudaError
/// where the launch is refused; what goes wrong while it runs is seen when somebody waits for the stream.
template <typename... Parameters, typename... Arguments>
void launch(const WorkQueue& queue, const char* name, const LaunchShape& shape, void (*kernel)(Parameters...),
            Arguments&&... arguments) {
  const NvtxRange range(name);
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(shape.blocks, shape.rows);
  config.blockDim = dim3(shape.threads);
  config.dynamicSmemBytes = static_cast<std::size_t>(shape.shared_floats) * sizeof(float);
  config.stream = stream_of(queue);
  check_launch(cudaLaunchKernelEx(&config, kernel, static_cast<Parameters>(std::forward<Arguments>(arguments))...),
               name);
}

/// Copies floats within the GPU's memory, in the queue's order.
inline void copy_floats(const WorkQueue& queue, const char* name, const float* from, float* to, std::int64_t floats) {
  const NvtxRange range(name);
  check_cuda(cudaMemcpyAsync(to, from, static_cast<std::size_t>(floats) * sizeof(float), cudaMemcpyDeviceToDevice,
                             stream_of(queue)),
             name);
}

/// body(i) for every i of [0, count), spread over the threads of all blocks.
template <typename Body>
__device__ void for_each_element(std::int64_t count, Body body) {
  const std::int64_t step = static_cast<std::int64_t>(blockDim.x) * gridDim.x;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < count; i += step) body(i);
}

}  // namespace lenet_flow

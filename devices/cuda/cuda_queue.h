#pragma once

#include "devices/work_queue.h"

/// What the CUDA runtime's cudaStream_t points to. Named here so that no CUDA header is needed to pass a queue around.
struct CUstream_st;

namespace lenet_flow {

/// One stream of one GPU: what is put there runs in that order, some time later. A kernel that got this queue returns
/// at once; its tensors may be read after the stream has come to that point.
class CudaQueue final : public WorkQueue {
 public:
  /// A new stream of the GPU with this number (as the CUDA runtime counts), beside the default stream and not
  /// synchronized with it. Throws CudaError.
  explicit CudaQueue(int gpu);
  ~CudaQueue() override;
  CudaQueue(const CudaQueue&) = delete;
  CudaQueue& operator=(const CudaQueue&) = delete;

  DeviceKind kind() const override { return DeviceKind::cuda; }
  int gpu() const { return gpu_; }
  CUstream_st* stream() const { return stream_; }
  /// Waits until everything that was put here is done; for set-up and tests, not for a run. Throws CudaError, also
  /// where one of those things failed.
  void wait() const;

 private:
  int gpu_;
  CUstream_st* stream_ = nullptr;
};

}  // namespace lenet_flow

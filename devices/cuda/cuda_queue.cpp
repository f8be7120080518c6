#include "devices/cuda/cuda_queue.h"

#include <cuda_runtime.h>

#include "devices/cuda/cuda_error.h"

namespace lenet_flow {

CudaQueue::CudaQueue(int gpu) : gpu_(gpu) {
  check_cuda(cudaSetDevice(gpu_), "choosing a GPU");
  check_cuda(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "making a stream");
}

/// What is still running goes on; the stream's resources are given back when it is done.
CudaQueue::~CudaQueue() { cudaStreamDestroy(stream_); }

void CudaQueue::wait() const { check_cuda(cudaStreamSynchronize(stream_), "waiting for a stream"); }

}  // namespace lenet_flow

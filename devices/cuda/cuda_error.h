#pragma once

#include <cuda_runtime.h>

#include <stdexcept>

namespace lenet_flow {

/// A call into the CUDA runtime failed. The message says what was tried and CUDA's name and words for the error:
/// "launching conv2d forward: cudaErrorInvalidValue (invalid argument)".
class CudaError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Throws CudaError where `result` is an error. `what` was tried: "making a stream".
void check_cuda(cudaError_t result, const char* what);
/// The same for a launch of the kernel `name`.
void check_launch(cudaError_t result, const char* name);

}  // namespace lenet_flow

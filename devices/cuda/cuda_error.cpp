#include "devices/cuda/cuda_error.h"

#include <string>

namespace lenet_flow {
namespace {

[[noreturn]] void fail(cudaError_t result, const std::string& what) {
  cudaGetLastError();  // or the next check, of a call that worked, would find this error again
  throw CudaError(what + ": " + cudaGetErrorName(result) + " (" + cudaGetErrorString(result) + ")");
}

}  // namespace

void check_cuda(cudaError_t result, const char* what) {
  if (result != cudaSuccess) fail(result, what);
}

void check_launch(cudaError_t result, const char* name) {
  if (result != cudaSuccess) fail(result, std::string("launching ") + name);
}

}  // namespace lenet_flow

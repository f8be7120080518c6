#include <cuda_runtime.h>

#include <algorithm>

#include "devices/cuda/cuda_device.h"
#include "devices/cuda/cuda_error.h"
#include "tests/layers/devices_under_test.h"

namespace lenet_flow::test {

/// For the tests of CUDA's kernels, on a GPU or under the emulation: instead of devices_under_test.cpp.
std::vector<DeviceUnderTest> devices_under_test() {
  std::vector<DeviceUnderTest> devices;
  auto device = std::make_unique<CudaDevice>("cuda", 0);
  CudaDevice& cuda = *device;
  devices.push_back({"cuda", std::move(device),
                     [&cuda](std::byte* at, std::size_t bytes) {
                       check_cuda(cudaMemsetAsync(at, 0xFF, bytes, cuda.queue().stream()), "poisoning memory");
                     },
                     [&cuda](const std::byte* at, std::size_t bytes) {
                       std::vector<std::byte> copy(bytes);
                       cuda.read_bytes(at, copy);
                       return std::all_of(copy.begin(), copy.end(), [](std::byte b) { return b == std::byte{0xFF}; });
                     }});
  return devices;
}

}  // namespace lenet_flow::test

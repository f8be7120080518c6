#include <cuda_runtime.h>

#include "devices/gpus.h"

namespace lenet_flow {
namespace {

/// "GPU-5d2c4f3e-...": as nvidia-smi writes it.
std::string uuid_text(const cudaUUID_t& uuid) {
  constexpr char digits[] = "0123456789abcdef";
  std::string text = "GPU-";
  for (int i = 0; i < 16; ++i) {
    const auto byte = static_cast<unsigned char>(uuid.bytes[i]);
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    text += digits[byte >> 4];
    text += digits[byte & 15];
  }
  return text;
}

cudaError_t describe(int index, int count, Gpu& gpu) {
  cudaDeviceProp properties{};
  if (const cudaError_t error = cudaGetDeviceProperties(&properties, index); error != cudaSuccess) return error;
  gpu.index = index;
  gpu.name = properties.name;
  gpu.compute_major = properties.major;
  gpu.compute_minor = properties.minor;
  gpu.multiprocessors = properties.multiProcessorCount;
  gpu.memory_bytes = properties.totalGlobalMem;
  gpu.uuid = uuid_text(properties.uuid);
  char bus_id[32] = "";
  if (cudaDeviceGetPCIBusId(bus_id, sizeof bus_id, index) == cudaSuccess) gpu.pci_bus_id = bus_id;
  for (int other = 0; other < count; ++other) {
    int can = 0;
    if (other != index && cudaDeviceCanAccessPeer(&can, index, other) == cudaSuccess && can) gpu.peers.push_back(other);
  }
  return cudaSuccess;
}

}  // namespace

CudaFacts ask_cuda() noexcept {
  CudaFacts facts;
  cudaDriverGetVersion(&facts.driver_version);
  cudaRuntimeGetVersion(&facts.runtime_version);
  int count = 0;
  cudaError_t error = cudaGetDeviceCount(&count);
  for (int i = 0; error == cudaSuccess && i < count; ++i) error = describe(i, count, facts.gpus.emplace_back());
  if (error != cudaSuccess) {
    cudaGetLastError();  // or the next check would find it
    facts.gpus.clear();
    facts.error_name = cudaGetErrorName(error);
    facts.error_text = cudaGetErrorString(error);
  }
  return facts;
}

}  // namespace lenet_flow

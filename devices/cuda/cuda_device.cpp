#include "devices/cuda/cuda_device.h"

#include <cuda_runtime.h>
#include <fmt/format.h>

#include <algorithm>

#include "devices/cuda/accumulate.h"
#include "devices/cuda/cuda_error.h"

namespace lenet_flow {
namespace {

double gib(std::size_t bytes) { return static_cast<double>(bytes) / (1 << 30); }

std::string name_of(int gpu) {
  cudaDeviceProp properties{};
  check_cuda(cudaGetDeviceProperties(&properties, gpu), "asking what a GPU is");
  return properties.name;
}

}  // namespace

CudaDevice::CudaDevice(std::string name, int gpu) : Device(std::move(name)), queue_(gpu), description_(name_of(gpu)) {}

CudaDevice::~CudaDevice() {
  cudaSetDevice(gpu());
  cudaStreamSynchronize(queue_.stream());
  for (void* block : blocks_) cudaFree(block);
}

void CudaDevice::run_host(const std::function<void()>& body) {
  check_cuda(cudaSetDevice(gpu()), "choosing a GPU");
  body();
}

std::byte* CudaDevice::allocate(std::size_t bytes) {
  bytes = std::max<std::size_t>(bytes, 64);
  check_cuda(cudaSetDevice(gpu()), "choosing a GPU");
  void* block = nullptr;
  const cudaError_t result = cudaMalloc(&block, bytes);
  if (result == cudaErrorMemoryAllocation) {
    cudaGetLastError();  // or the next check would find it
    std::size_t free = 0, total = 0;
    check_cuda(cudaMemGetInfo(&free, &total), "asking for free memory");
    throw CudaOutOfMemory(fmt::format("{} ({}) has no {:.3g} GiB ({} bytes): {:.3g} of {:.3g} GiB are free", name(),
                                      description_, gib(bytes), bytes, gib(free), gib(total)));
  }
  check_cuda(result, "allocating memory");
  blocks_.push_back(block);
  check_cuda(cudaMemsetAsync(block, 0, bytes, queue_.stream()), "clearing memory");
  queue_.wait();
  count_allocation(bytes);
  return static_cast<std::byte*>(block);
}

std::int64_t CudaDevice::activation_floats(const Shape& shape, std::int64_t images) const {
  return shape.elements() * images;
}

void CudaDevice::write_activation(std::span<const float> from, const Tensor& to) {
  write_bytes(std::as_bytes(from), reinterpret_cast<std::byte*>(to.data));
}

void CudaDevice::read_activation(const Tensor& from, std::span<float> to) {
  read_bytes(reinterpret_cast<const std::byte*>(from.data), std::as_writable_bytes(to));
}

void CudaDevice::write_parameter(std::span<const float> from, const ParameterView& to) {
  write_bytes(std::as_bytes(from), reinterpret_cast<std::byte*>(to.data));
}

void CudaDevice::read_parameter(const ParameterView& from, std::span<float> to) {
  read_bytes(reinterpret_cast<const std::byte*>(from.data), std::as_writable_bytes(to));
}

void CudaDevice::write_bytes(std::span<const std::byte> from, std::byte* to) {
  if (from.empty()) return;
  check_cuda(cudaMemcpyAsync(to, from.data(), from.size(), cudaMemcpyHostToDevice, queue_.stream()),
             "copying to a GPU");
  queue_.wait();
}

void CudaDevice::read_bytes(const std::byte* from, std::span<std::byte> to) {
  if (to.empty()) return;
  check_cuda(cudaMemcpyAsync(to.data(), from, to.size(), cudaMemcpyDeviceToHost, queue_.stream()),
             "copying from a GPU");
  queue_.wait();
}

void CudaDevice::accumulate(const float* from, float* to, std::int64_t floats, bool first) {
  accumulate_on_gpu(queue_, from, to, floats, first);
}

}  // namespace lenet_flow

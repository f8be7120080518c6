#include "devices/cuda/cuda_device.h"

#include <cuda_runtime.h>
#include <fmt/format.h>
#include <tbb/task_arena.h>

#include <algorithm>
#include <cstring>

#include "devices/cuda/accumulate.h"
#include "devices/cuda/cuda_error.h"
#include "devices/cuda/stamp.h"

namespace lenet_flow {
namespace {

double gib(std::size_t bytes) { return static_cast<double>(bytes) / (1 << 30); }

std::string name_of(int gpu) {
  cudaDeviceProp properties{};
  check_cuda(cudaGetDeviceProperties(&properties, gpu), "asking what a GPU is");
  return properties.name;
}

class CudaMark final : public Mark {
 public:
  CudaMark() { check_cuda(cudaEventCreateWithFlags(&event_, cudaEventDisableTiming), "making an event"); }
  ~CudaMark() override { cudaEventDestroy(event_); }
  CudaMark(const CudaMark&) = delete;
  CudaMark& operator=(const CudaMark&) = delete;

  cudaEvent_t event() const { return event_; }

 private:
  cudaEvent_t event_ = nullptr;
};

class CudaRecording final : public Recording {
 public:
  /// Takes the graph over.
  explicit CudaRecording(cudaGraph_t graph) {
    const cudaError_t result = cudaGraphInstantiate(&graph_, graph, 0);
    cudaGraphDestroy(graph);
    check_cuda(result, "making a CUDA graph ready");
  }
  ~CudaRecording() override { cudaGraphExecDestroy(graph_); }
  CudaRecording(const CudaRecording&) = delete;
  CudaRecording& operator=(const CudaRecording&) = delete;

  cudaGraphExec_t graph() const { return graph_; }

 private:
  cudaGraphExec_t graph_ = nullptr;
};

class RegisteredMemory final : public PinnedMemory {
 public:
  explicit RegisteredMemory(std::span<std::byte> memory) : memory_(memory) {
    check_cuda(cudaHostRegister(memory_.data(), memory_.size(), cudaHostRegisterPortable | cudaHostRegisterMapped),
               "pinning host memory");
  }
  ~RegisteredMemory() override { cudaHostUnregister(memory_.data()); }
  RegisteredMemory(const RegisteredMemory&) = delete;
  RegisteredMemory& operator=(const RegisteredMemory&) = delete;

 private:
  std::span<std::byte> memory_;
};

cudaStream_t stream_of(const WorkQueue& queue) { return static_cast<const CudaQueue&>(queue).stream(); }
cudaEvent_t event_of(const Mark& mark) { return static_cast<const CudaMark&>(mark).event(); }

}  // namespace

CudaDevice::CudaDevice(std::string name, int gpu)
    : AsyncDevice(std::move(name)), queue_(gpu), copies_in_(gpu), copies_out_(gpu), description_(name_of(gpu)) {}

/// What is still running is waited for: freeing memory does so.
CudaDevice::~CudaDevice() {
  cudaSetDevice(gpu());
  for (void* block : blocks_) cudaFree(block);
  for (void* block : host_blocks_) cudaFreeHost(block);
}

void CudaDevice::run_host(const std::function<void()>& body) {
  tbb::task_arena arena(1, 1);
  arena.execute([&] {
    check_cuda(cudaSetDevice(gpu()), "choosing a GPU");
    body();
  });
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

void CudaDevice::accumulate(WorkQueue& queue, const float* from, float* to, std::int64_t floats, bool first) {
  accumulate_on_gpu(static_cast<CudaQueue&>(queue), from, to, floats, first);
}

WorkQueue& CudaDevice::make_queue() { return *stage_queues_.emplace_back(std::make_unique<CudaQueue>(gpu())); }

std::unique_ptr<Mark> CudaDevice::make_mark() {
  check_cuda(cudaSetDevice(gpu()), "choosing a GPU");
  return std::make_unique<CudaMark>();
}

void CudaDevice::record(Mark& mark, WorkQueue& queue) {
  check_cuda(cudaEventRecord(event_of(mark), stream_of(queue)), "recording an event");
}

void CudaDevice::wait(WorkQueue& queue, const Mark& mark) {
  check_cuda(cudaStreamWaitEvent(stream_of(queue), event_of(mark), 0), "letting a stream wait for an event");
}

bool CudaDevice::reached(const Mark& mark) {
  const cudaError_t result = cudaEventQuery(event_of(mark));
  if (result == cudaErrorNotReady) return false;
  check_cuda(result, "work on the GPU failed");
  return true;
}

void CudaDevice::begin_recording(WorkQueue& queue) {
  check_cuda(cudaStreamBeginCapture(stream_of(queue), cudaStreamCaptureModeThreadLocal), "recording a CUDA graph");
}

std::unique_ptr<Recording> CudaDevice::end_recording(WorkQueue& queue) {
  cudaGraph_t graph = nullptr;
  check_cuda(cudaStreamEndCapture(stream_of(queue), &graph), "recording a CUDA graph");
  return std::make_unique<CudaRecording>(graph);
}

void CudaDevice::play(Recording& recording, WorkQueue& queue) {
  check_cuda(cudaGraphLaunch(static_cast<CudaRecording&>(recording).graph(), stream_of(queue)),
             "launching a CUDA graph");
}

void CudaDevice::copy(WorkQueue& queue, const float* from, float* to, std::int64_t floats) {
  check_cuda(
      cudaMemcpyAsync(to, from, static_cast<std::size_t>(floats) * sizeof(float), cudaMemcpyDefault, stream_of(queue)),
      "copying between devices");
}

void CudaDevice::stamp(WorkQueue& queue, std::int64_t* at) { stamp_on_gpu(static_cast<CudaQueue&>(queue), at); }

void CudaDevice::reach(AsyncDevice& other) {
  const int peer = static_cast<CudaDevice&>(other).gpu();
  int can = 0;
  if (peer == gpu() || cudaDeviceCanAccessPeer(&can, gpu(), peer) != cudaSuccess || !can) return;
  check_cuda(cudaSetDevice(gpu()), "choosing a GPU");
  const cudaError_t result = cudaDeviceEnablePeerAccess(peer, 0);
  if (result == cudaErrorPeerAccessAlreadyEnabled) {
    cudaGetLastError();  // or the next check would find it
    return;
  }
  check_cuda(result, "letting a GPU reach another's memory");
}

std::byte* CudaDevice::allocate_host(std::size_t bytes) {
  bytes = std::max<std::size_t>(bytes, 64);
  void* block = nullptr;
  const cudaError_t result = cudaHostAlloc(&block, bytes, cudaHostAllocPortable | cudaHostAllocMapped);
  if (result == cudaErrorMemoryAllocation) {
    cudaGetLastError();  // or the next check would find it
    throw CudaOutOfMemory(fmt::format("{} ({}) gets no {} bytes of pinned host memory", name(), description_, bytes));
  }
  check_cuda(result, "allocating pinned host memory");
  host_blocks_.push_back(block);
  std::memset(block, 0, bytes);
  return static_cast<std::byte*>(block);
}

std::unique_ptr<PinnedMemory> CudaDevice::pin(std::span<std::byte> memory) {
  return std::make_unique<RegisteredMemory>(memory);
}

void CudaDevice::finish(WorkQueue& queue) { static_cast<CudaQueue&>(queue).wait(); }

std::unique_ptr<AsyncDevice> open_cuda_device(const std::string& name, int index) {
  return std::make_unique<CudaDevice>(name, index);
}

int count_cuda_devices() {
  int count = 0;
  if (cudaGetDeviceCount(&count) == cudaSuccess) return count;
  cudaGetLastError();  // or the next check would find it
  return 0;
}

}  // namespace lenet_flow

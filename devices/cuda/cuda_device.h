#pragma once

#include <string>
#include <vector>

#include "devices/async_device.h"
#include "devices/cuda/cuda_queue.h"

namespace lenet_flow {

/// One NVIDIA GPU. Queues are streams, marks are events without times, recordings are CUDA graphs. Activations lie in
/// the standard layout [image][channel][row][column]: this class and the kernels in layers/*/*_cuda.cu are the places
/// that know.
///
/// Its write_... and read_... functions and allocate() wait until queue() has come to them: they are for set-up, for
/// evaluation and for tests.
class CudaDevice final : public AsyncDevice {
 public:
  /// `gpu`: as the CUDA runtime counts. Throws CudaError where there is no such GPU.
  CudaDevice(std::string name, int gpu);
  ~CudaDevice() override;

  int gpu() const { return queue_.gpu(); }

  DeviceKind kind() const override { return DeviceKind::cuda; }
  std::string description() const override { return description_; }
  CudaQueue& queue() override { return queue_; }
  /// The calling thread's CUDA calls go to this GPU from then on. Kernels that the body puts on a queue may still run
  /// when it returns. The body runs in a oneTBB arena of its own, with the calling thread alone.
  void run_host(const std::function<void()>& body) override;

  /// Throws CudaOutOfMemory.
  std::byte* allocate(std::size_t bytes) override;
  std::int64_t activation_floats(const Shape& shape, std::int64_t images) const override;
  void write_activation(std::span<const float> from, const Tensor& to) override;
  void read_activation(const Tensor& from, std::span<float> to) override;
  void write_parameter(std::span<const float> from, const ParameterView& to) override;
  void read_parameter(const ParameterView& from, std::span<float> to) override;
  void write_bytes(std::span<const std::byte> from, std::byte* to) override;
  void read_bytes(const std::byte* from, std::span<std::byte> to) override;
  void accumulate(WorkQueue& queue, const float* from, float* to, std::int64_t floats, bool first) override;

  WorkQueue& make_queue() override;
  WorkQueue& copies_in() override { return copies_in_; }
  WorkQueue& copies_out() override { return copies_out_; }
  std::unique_ptr<Mark> make_mark() override;
  void record(Mark& mark, WorkQueue& queue) override;
  void wait(WorkQueue& queue, const Mark& mark) override;
  bool reached(const Mark& mark) override;
  void begin_recording(WorkQueue& queue) override;
  std::unique_ptr<Recording> end_recording(WorkQueue& queue) override;
  void play(Recording& recording, WorkQueue& queue) override;
  void copy(WorkQueue& queue, const float* from, float* to, std::int64_t floats) override;
  void stamp(WorkQueue& queue, std::int64_t* at) override;
  void reach(AsyncDevice& other) override;
  std::byte* allocate_host(std::size_t bytes) override;
  std::unique_ptr<PinnedMemory> pin(std::span<std::byte> memory) override;
  void finish(WorkQueue& queue) override;

 private:
  CudaQueue queue_, copies_in_, copies_out_;
  std::vector<std::unique_ptr<CudaQueue>> stage_queues_;
  std::string description_;
  std::vector<void*> blocks_, host_blocks_;
};

/// Memory of a GPU that could not be had: "gpu0 (NVIDIA H200) has no 4.0 GiB: 1.5 of 139.8 GiB are free".
class CudaOutOfMemory : public std::bad_alloc {
 public:
  explicit CudaOutOfMemory(std::string message) : message_(std::move(message)) {}
  const char* what() const noexcept override { return message_.c_str(); }

 private:
  std::string message_;
};

}  // namespace lenet_flow

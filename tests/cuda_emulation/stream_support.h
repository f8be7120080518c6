#pragma once

#include <cuda_runtime.h>
#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace cuda_emulation::test {

/// Begins a test in deferred order, and leaves the runtime as it was.
class Deferred {
 public:
  explicit Deferred(std::uint64_t seed = 1) {
    reset();
    set_order(Order::deferred);
    set_seed(seed);
  }
  ~Deferred() { reset(); }
  Deferred(const Deferred&) = delete;
  Deferred& operator=(const Deferred&) = delete;
};

class Stream {
 public:
  explicit Stream(int device = 0) {
    REQUIRE(cudaSetDevice(device) == cudaSuccess);
    REQUIRE(cudaStreamCreateWithPriority(&stream_, cudaStreamNonBlocking, 0) == cudaSuccess);
  }
  ~Stream() { cudaStreamDestroy(stream_); }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  operator cudaStream_t() const { return stream_; }  // NOLINT: used like one

 private:
  cudaStream_t stream_ = nullptr;
};

class Event {
 public:
  explicit Event(unsigned flags = cudaEventDisableTiming) {
    REQUIRE(cudaEventCreateWithFlags(&event_, flags) == cudaSuccess);
  }
  ~Event() { cudaEventDestroy(event_); }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  operator cudaEvent_t() const { return event_; }  // NOLINT: used like one

 private:
  cudaEvent_t event_ = nullptr;
};

/// Integers, all 0, in memory of the current device or pinned memory of the host. The host can read both.
class Numbers {
 public:
  enum class Where { device, pinned };

  explicit Numbers(std::size_t count, Where where = Where::device) : where_(where), count_(count) {
    void* block = nullptr;
    const std::size_t bytes = count * sizeof(int);
    REQUIRE((where == Where::device
                 ? cudaMalloc(&block, bytes)
                 : cudaHostAlloc(&block, bytes, cudaHostAllocPortable | cudaHostAllocMapped)) == cudaSuccess);
    data_ = static_cast<int*>(block);
    std::fill_n(data_, count, 0);
  }
  ~Numbers() { where_ == Where::device ? cudaFree(data_) : cudaFreeHost(data_); }
  Numbers(const Numbers&) = delete;
  Numbers& operator=(const Numbers&) = delete;

  int* data() const { return data_; }
  std::size_t bytes() const { return count_ * sizeof(int); }
  int operator[](std::size_t i) const { return data_[i]; }

 private:
  Where where_;
  std::size_t count_;
  int* data_ = nullptr;
};

/// Puts `kernel` on the stream as one thread.
template <typename... Parameters, typename... Arguments>
cudaError_t put(cudaStream_t stream, void (*kernel)(Parameters...), Arguments... arguments) {
  cudaLaunchConfig_t config;
  config.stream = stream;
  return cudaLaunchKernelEx(&config, kernel, arguments...);
}

// Kernels.
inline __global__ void set(int* to, int value) { *to = value; }
inline __global__ void add(int* to, int value) { *to += value; }
inline __global__ void copy(const int* from, int* to) { *to = *from; }
/// Notes its turn.
inline __global__ void append(int* list, int* size, int value) { list[(*size)++] = value; }

/// Asks until the event is done; how often it was not.
inline int poll(cudaEvent_t event) {
  for (int times = 0; times < 100000; ++times) {
    const cudaError_t result = cudaEventQuery(event);
    if (result == cudaSuccess) return times;
    REQUIRE(result == cudaErrorNotReady);
  }
  FAIL("the event is never done");
  return 0;
}

}  // namespace cuda_emulation::test

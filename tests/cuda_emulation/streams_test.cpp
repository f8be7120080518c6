#include <set>
#include <thread>

#include "tests/cuda_emulation/stream_support.h"

using namespace cuda_emulation::test;
using cuda_emulation::Counters;

TEST_CASE("a stream's work is not done before somebody asks, and then in its order") {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const Deferred deferred(seed);
    const Stream stream;
    const Event event;
    const Numbers list(8), size(1);
    for (int i = 0; i < 8; ++i) CHECK(put(stream, append, list.data(), size.data(), i) == cudaSuccess);
    CHECK(cudaEventRecord(event, stream) == cudaSuccess);
    CHECK(size[0] == 0);
    poll(event);
    CHECK(size[0] == 8);
    for (int i = 0; i < 8; ++i) CHECK(list[static_cast<std::size_t>(i)] == i);
    CHECK(cudaStreamQuery(stream) == cudaSuccess);
  }
}

TEST_CASE("a query does some of the work, none at times") {
  const Deferred deferred;
  const Stream stream;
  const Numbers sum(1);
  std::set<int> done_by_one_query;
  for (int round = 0; round < 50; ++round) {
    const int before = sum[0];
    for (int i = 0; i < 20; ++i) put(stream, add, sum.data(), 1);
    CHECK(cudaStreamQuery(stream) == cudaErrorNotReady);
    done_by_one_query.insert(sum[0] - before);
    CHECK(cudaStreamSynchronize(stream) == cudaSuccess);
    CHECK(sum[0] == before + 20);
  }
  CHECK(done_by_one_query.size() > 2);
  CHECK(done_by_one_query.count(0) == 1);
}

namespace {

/// Whether a consumer on a stream of its own saw what the producer wrote.
bool consumer_sees(bool waits, std::uint64_t seed) {
  const Deferred deferred(seed);
  const Stream producer, consumer;
  const Event written;
  const Numbers value(1), seen(1);
  put(producer, set, value.data(), 7);
  cudaEventRecord(written, producer);
  if (waits) CHECK(cudaStreamWaitEvent(consumer, written) == cudaSuccess);
  put(consumer, copy, value.data(), seen.data());
  CHECK(cudaStreamSynchronize(consumer) == cudaSuccess);
  return seen[0] == 7;
}

}  // namespace

TEST_CASE("a consumer that does not wait for its producer reads old data for some seeds; one that waits never does") {
  int seen = 0;
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    CHECK(consumer_sees(true, seed));
    seen += consumer_sees(false, seed);
  }
  CHECK(seen > 0);
  CHECK(seen < 40);
  CHECK(consumer_sees(false, 0));  // in the order of the calls
}

TEST_CASE("a wait is for the record before it, not for a later one; an event without a record is done") {
  const Deferred deferred;
  const Stream first, second, third;
  const Event event, never;
  const Numbers value(1);
  CHECK(cudaEventQuery(never) == cudaSuccess);
  CHECK(cudaStreamWaitEvent(second, never) == cudaSuccess);
  cudaEventRecord(event, first);
  CHECK(cudaStreamWaitEvent(second, event) == cudaSuccess);
  cuda_emulation::hang_operation(0, 1);
  put(third, set, value.data(), 1);
  CHECK(cudaStreamSynchronize(third) == cudaErrorLaunchTimeout);
  cudaEventRecord(event, third);  // comes after what hangs
  put(second, add, value.data(), 5);
  CHECK(cudaStreamSynchronize(second) == cudaSuccess);
  CHECK(value[0] == 5);
  CHECK(cudaEventQuery(event) == cudaErrorNotReady);
}

TEST_CASE("kernels get the arguments of the launch's time") {
  const Deferred deferred;
  const Stream stream;
  const Numbers value(1);
  int argument = 3;
  put(stream, set, value.data(), argument);
  argument = 4;
  cudaStreamSynchronize(stream);
  CHECK(value[0] == 3);
}

TEST_CASE("copies from pinned memory read it when they are done, those from pageable memory in the call") {
  const Deferred deferred;
  const Stream stream;
  const Numbers on_device(1), pinned(1, Numbers::Where::pinned);
  int pageable = 5;
  const auto copy_to_device = [&](const int* from) {
    return cudaMemcpyAsync(on_device.data(), from, sizeof(int), cudaMemcpyHostToDevice, stream);
  };
  pinned.data()[0] = 1;
  CHECK(copy_to_device(pinned.data()) == cudaSuccess);
  pinned.data()[0] = 2;
  CHECK(on_device[0] == 0);
  CHECK(copy_to_device(&pageable) == cudaSuccess);  // after the first copy
  CHECK(on_device[0] == 5);
  CHECK(cuda_emulation::counters().pageable_copies == 1);
  CHECK(copy_to_device(pinned.data()) == cudaSuccess);
  CHECK(cudaStreamSynchronize(stream) == cudaSuccess);
  CHECK(on_device[0] == 2);
  CHECK(cudaHostRegister(&pageable, sizeof pageable, cudaHostRegisterPortable) == cudaSuccess);
  CHECK(cudaHostRegister(&pageable, 1, 0) == cudaErrorHostMemoryAlreadyRegistered);
  CHECK(copy_to_device(&pageable) == cudaSuccess);
  CHECK(on_device[0] == 2);
  CHECK(put(stream, add, &pageable, 1) == cudaSuccess);  // mapped
  CHECK(cudaHostUnregister(&pageable) == cudaSuccess);   // waits
  CHECK(pageable == 6);
  CHECK(on_device[0] == 5);
  CHECK(cudaHostUnregister(&pageable) == cudaErrorHostMemoryNotRegistered);
  CHECK(cuda_emulation::counters().pageable_copies == 1);
}

TEST_CASE("devices have memory and streams of their own") {
  const Deferred deferred;
  int count = 0, device = -1;
  CHECK(cudaGetDeviceCount(&count) == cudaSuccess);
  CHECK(count == 2);
  CHECK(cudaSetDevice(2) == cudaErrorInvalidDevice);
  cuda_emulation::set_device_bytes(100, 1);
  const Stream first(0), second(1);
  CHECK(cudaGetDevice(&device) == cudaSuccess);
  CHECK(device == 1);
  void* block = nullptr;
  CHECK(cudaMalloc(&block, 101) == cudaErrorMemoryAllocation);
  const Numbers of_second(1);
  CHECK(cuda_emulation::free_device_bytes(1) == 96);
  CHECK(put(first, set, of_second.data(), 1) == cudaErrorInvalidResourceHandle);  // another device is current
  cudaSetDevice(0);
  const Numbers of_first(1);
  of_first.data()[0] = 9;
  CHECK(cudaMemcpyPeerAsync(of_second.data(), 0, of_first.data(), 0, 4, first) == cudaErrorInvalidValue);
  CHECK(cudaMemcpyPeerAsync(of_second.data(), 1, of_first.data(), 0, 4, first) == cudaSuccess);
  CHECK(cudaStreamSynchronize(first) == cudaSuccess);
  CHECK(of_second[0] == 9);

  int can = 0;
  CHECK(cudaDeviceCanAccessPeer(&can, 0, 1) == cudaSuccess);
  CHECK(can == 1);
  CHECK(cudaDeviceEnablePeerAccess(1, 0) == cudaSuccess);
  CHECK(cudaDeviceEnablePeerAccess(1, 0) == cudaErrorPeerAccessAlreadyEnabled);
  CHECK(put(first, set, of_second.data(), 3) == cudaSuccess);
  CHECK(cudaStreamSynchronize(first) == cudaSuccess);
  CHECK(of_second[0] == 3);
  cudaSetDevice(1);
  CHECK(put(second, set, of_first.data(), 3) == cudaSuccess);  // the other way it was not enabled
  CHECK(cudaStreamSynchronize(second) == cudaErrorLaunchFailure);
  CHECK(cuda_emulation::last_problem().find("not the device's") != std::string::npos);
  CHECK(of_first[0] == 9);
}

TEST_CASE("event times follow the streams' order; an event without timing has none") {
  const Deferred deferred;
  const Stream stream;
  const Event start(cudaEventDefault), end(cudaEventDefault), untimed;
  float milliseconds = -1;
  cudaEventRecord(start, stream);
  cudaEventRecord(end, stream);
  cudaEventRecord(untimed, stream);
  CHECK(cudaEventElapsedTime(&milliseconds, start, end) == cudaErrorNotReady);
  CHECK(cudaEventSynchronize(untimed) == cudaSuccess);
  CHECK(cudaEventElapsedTime(&milliseconds, start, end) == cudaSuccess);
  CHECK(milliseconds >= 0);
  CHECK(cudaEventElapsedTime(&milliseconds, start, untimed) == cudaErrorInvalidResourceHandle);
}

TEST_CASE("several threads use streams at a time; waits and allocations are counted, by thread too") {
  const Deferred deferred;
  constexpr int threads = 4, rounds = 50;
  const Numbers sums(threads);
  const Counters before = cuda_emulation::counters();
  {
    std::vector<std::jthread> running;
    for (int t = 0; t < threads; ++t)
      running.emplace_back([&, t] {
        cudaSetDevice(0);
        cudaStream_t stream = nullptr;
        cudaEvent_t event = nullptr;
        cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
        cudaEventCreateWithFlags(&event, cudaEventDisableTiming);
        for (int i = 0; i < rounds; ++i) {
          put(stream, add, sums.data() + t, 1);
          cudaEventRecord(event, stream);
          while (cudaEventQuery(event) == cudaErrorNotReady) {
          }
        }
        cudaStreamDestroy(stream);
        cudaEventDestroy(event);
      });
  }
  for (std::size_t t = 0; t < threads; ++t) CHECK(sums[t] == rounds);
  const Counters after = cuda_emulation::counters();
  CHECK(after.allocations == before.allocations + 2 * threads);
  CHECK(after.synchronizations == before.synchronizations);
  const Counters mine = cuda_emulation::counters_of_thread();
  CHECK(cudaDeviceSynchronize() == cudaSuccess);
  CHECK(cuda_emulation::counters_of_thread().synchronizations == mine.synchronizations + 1);
  CHECK(mine.allocations == before.allocations);
}

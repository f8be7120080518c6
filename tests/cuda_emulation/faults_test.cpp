#include "tests/cuda_emulation/stream_support.h"

using namespace cuda_emulation::test;
using cuda_emulation::fail_operation;

namespace {

__global__ void all_write_one_cell() {
  __shared__ cuda_emulation::Shared<int> cell;
  cell = 1;
}

}  // namespace

TEST_CASE("a device is lost by its nth operation, and stays lost; the others work on") {
  const Deferred deferred;
  const Stream stream(0), other(1);
  const Event event_of_other;
  cudaSetDevice(1);
  const Numbers elsewhere(1);
  cudaSetDevice(0);
  const Event event;
  const Numbers value(1);
  fail_operation(0, 3, cudaErrorIllegalAddress);
  for (int i = 0; i < 5; ++i) CHECK(put(stream, add, value.data(), 1) == cudaSuccess);
  CHECK(cudaEventRecord(event, stream) == cudaSuccess);
  CHECK(cudaEventSynchronize(event) == cudaErrorIllegalAddress);
  CHECK(value[0] == 2);
  CHECK(cudaGetLastError() == cudaErrorIllegalAddress);
  CHECK(cudaGetLastError() == cudaSuccess);
  void* block = nullptr;
  CHECK(cudaEventQuery(event) == cudaErrorIllegalAddress);
  CHECK(cudaStreamQuery(stream) == cudaErrorIllegalAddress);
  CHECK(cudaStreamSynchronize(stream) == cudaErrorIllegalAddress);
  CHECK(cudaDeviceSynchronize() == cudaErrorIllegalAddress);
  CHECK(cudaMalloc(&block, 1) == cudaErrorIllegalAddress);
  CHECK(put(stream, add, value.data(), 1) == cudaErrorIllegalAddress);
  cudaSetDevice(1);
  CHECK(put(other, set, elsewhere.data(), 6) == cudaSuccess);
  CHECK(cudaStreamSynchronize(other) == cudaSuccess);
  CHECK(elsewhere[0] == 6);
}

TEST_CASE("a polled event tells of a lost device") {
  const Deferred deferred;
  const Stream stream;
  const Event event;
  const Numbers value(1);
  fail_operation(0, 1, cudaErrorLaunchFailure);
  put(stream, set, value.data(), 1);
  cudaEventRecord(event, stream);
  cudaError_t result = cudaErrorNotReady;
  for (int i = 0; i < 1000 && result == cudaErrorNotReady; ++i) result = cudaEventQuery(event);
  CHECK(result == cudaErrorLaunchFailure);
}

TEST_CASE("in immediate order the failing call tells of it") {
  const Deferred restores;
  cuda_emulation::set_order(cuda_emulation::Order::immediate);
  const Stream stream;
  const Numbers value(1);
  fail_operation(0, 2, cudaErrorLaunchFailure);
  CHECK(put(stream, set, value.data(), 1) == cudaSuccess);
  CHECK(put(stream, set, value.data(), 2) == cudaErrorLaunchFailure);
  CHECK(put(stream, set, value.data(), 3) == cudaErrorLaunchFailure);
  CHECK(value[0] == 1);
}

TEST_CASE("operations of graphs count, and can fail") {
  const Deferred deferred;
  const Stream stream;
  const Numbers value(1);
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t exec = nullptr;
  cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal);
  for (int i = 0; i < 3; ++i) put(stream, add, value.data(), 1);
  REQUIRE(cudaStreamEndCapture(stream, &graph) == cudaSuccess);
  REQUIRE(cudaGraphInstantiate(&exec, graph, 0) == cudaSuccess);
  fail_operation(0, 5, cudaErrorLaunchFailure);
  CHECK(cudaGraphLaunch(exec, stream) == cudaSuccess);
  CHECK(cudaStreamSynchronize(stream) == cudaSuccess);
  CHECK(cudaGraphLaunch(exec, stream) == cudaSuccess);
  CHECK(cudaStreamSynchronize(stream) == cudaErrorLaunchFailure);
  CHECK(value[0] == 4);
  cudaGraphExecDestroy(exec);
  cudaGraphDestroy(graph);
}

TEST_CASE("a kernel that never ends holds up its stream and who waits for that, nobody else") {
  const Deferred deferred;
  const Stream hanging, waiting, free;
  const Event event, later;
  const Numbers values(3);
  cuda_emulation::hang_operation(0, 1);
  put(hanging, set, values.data(), 1);
  cudaEventRecord(event, hanging);
  CHECK(cudaEventSynchronize(event) == cudaErrorLaunchTimeout);
  CHECK(cuda_emulation::counters().endless_waits == 1);
  cudaStreamWaitEvent(waiting, event);
  put(waiting, set, values.data() + 1, 1);
  cudaEventRecord(later, waiting);
  put(free, set, values.data() + 2, 1);
  CHECK(cudaStreamSynchronize(free) == cudaSuccess);
  for (int i = 0; i < 100; ++i) {
    CHECK(cudaEventQuery(event) == cudaErrorNotReady);
    CHECK(cudaEventQuery(later) == cudaErrorNotReady);
  }
  CHECK(values[0] == 0);
  CHECK(values[1] == 0);
  CHECK(values[2] == 1);
}

TEST_CASE("a refused launch is an error of the call alone") {
  const Deferred deferred;
  const Stream stream;
  const Numbers value(1);
  cuda_emulation::refuse_operation(0, 2, cudaErrorLaunchOutOfResources);
  CHECK(put(stream, add, value.data(), 1) == cudaSuccess);
  CHECK(put(stream, add, value.data(), 1) == cudaErrorLaunchOutOfResources);
  CHECK(put(stream, add, value.data(), 1) == cudaSuccess);
  CHECK(cudaStreamSynchronize(stream) == cudaSuccess);
  CHECK(value[0] == 2);
}

TEST_CASE("a Problem in deferred work loses its device, with the message kept") {
  const Deferred deferred;
  const Stream stream;
  cudaLaunchConfig_t config;
  config.blockDim = 2;
  config.stream = stream;
  CHECK(cudaLaunchKernelEx(&config, all_write_one_cell) == cudaSuccess);
  CHECK(cuda_emulation::last_problem().empty());
  CHECK(cudaStreamSynchronize(stream) == cudaErrorLaunchFailure);
  CHECK(cuda_emulation::last_problem().find("race on shared memory") != std::string::npos);
  cuda_emulation::reset();
  CHECK(cuda_emulation::last_problem().empty());
  CHECK(cudaStreamSynchronize(stream) == cudaSuccess);
}

TEST_CASE("pinned memory has a limit of its own") {
  const Deferred deferred;
  cuda_emulation::set_pinned_bytes(100);
  void *first = nullptr, *second = nullptr;
  CHECK(cudaHostAlloc(&first, 80, cudaHostAllocPortable) == cudaSuccess);
  CHECK(cudaHostAlloc(&second, 21, cudaHostAllocPortable) == cudaErrorMemoryAllocation);
  CHECK(cudaFree(first) == cudaErrorInvalidValue);
  CHECK(cudaFreeHost(first) == cudaSuccess);
}

TEST_CASE("without a device there is none") {
  const Deferred deferred;
  cuda_emulation::set_device_count(0);
  int count = -1;
  CHECK(cudaGetDeviceCount(&count) == cudaErrorNoDevice);
  CHECK(count == 0);
  CHECK(cudaSetDevice(0) == cudaErrorNoDevice);
}

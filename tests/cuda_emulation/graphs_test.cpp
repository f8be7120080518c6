#include <thread>

#include "tests/cuda_emulation/stream_support.h"

using namespace cuda_emulation::test;

namespace {

cudaError_t begin(cudaStream_t stream) { return cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal); }

/// What end_capture() and instantiation give, freed at the end.
class Graph {
 public:
  /// Ends the stream's capture.
  explicit Graph(cudaStream_t stream) {
    REQUIRE(cudaStreamEndCapture(stream, &graph_) == cudaSuccess);
    REQUIRE(cudaGraphInstantiate(&exec_, graph_, 0) == cudaSuccess);
  }
  ~Graph() {
    cudaGraphExecDestroy(exec_);
    cudaGraphDestroy(graph_);
  }
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;
  cudaError_t launch(cudaStream_t stream) const { return cudaGraphLaunch(exec_, stream); }

 private:
  cudaGraph_t graph_ = nullptr;
  cudaGraphExec_t exec_ = nullptr;
};

/// The capture that `spoil` was called in is no longer valid, and the stream works afterwards.
template <typename Spoil>
void check_spoiled(cudaStream_t stream, Spoil spoil, cudaError_t error) {
  cudaGraph_t graph = nullptr;
  cudaStreamCaptureStatus status{};
  REQUIRE(begin(stream) == cudaSuccess);
  CHECK(spoil() == error);
  CHECK(cudaStreamIsCapturing(stream, &status) == cudaSuccess);
  CHECK(status == cudaStreamCaptureStatusInvalidated);
  CHECK(cudaStreamEndCapture(stream, &graph) == cudaErrorStreamCaptureInvalidated);
  CHECK(graph == nullptr);
  CHECK(cudaStreamSynchronize(stream) == cudaSuccess);
}

}  // namespace

TEST_CASE("what is captured is done at each launch of the graph, not before") {
  for (const auto order : {cuda_emulation::Order::deferred, cuda_emulation::Order::immediate}) {
    const Deferred deferred;
    cuda_emulation::set_order(order);
    const Stream stream;
    const Numbers sum(1), result(1), pinned(1, Numbers::Where::pinned);
    CHECK(begin(stream) == cudaSuccess);
    CHECK(cudaMemcpyAsync(sum.data(), pinned.data(), 4, cudaMemcpyDefault, stream) == cudaSuccess);
    CHECK(put(stream, add, sum.data(), 2) == cudaSuccess);
    CHECK(put(stream, copy, sum.data(), result.data()) == cudaSuccess);
    CHECK(cudaMemsetAsync(sum.data(), 0, 4, stream) == cudaSuccess);
    const Graph graph(stream);
    CHECK(cudaStreamSynchronize(stream) == cudaSuccess);
    CHECK(result[0] == 0);
    for (int replay = 1; replay < 4; ++replay) {
      pinned.data()[0] = 10 * replay;
      CHECK(graph.launch(stream) == cudaSuccess);
      CHECK(cudaStreamSynchronize(stream) == cudaSuccess);
      CHECK(result[0] == 10 * replay + 2);
      CHECK(sum[0] == 0);
    }
  }
}

namespace {

/// What the main stream reads of what the side stream writes, in a graph of both.
int forked_result(bool joins_before_use, std::uint64_t seed) {
  const Deferred deferred(seed);
  const Stream main, side;
  const Event forked, joined;
  const Numbers values(3);
  CHECK(begin(main) == cudaSuccess);
  CHECK(cudaEventRecord(forked, main) == cudaSuccess);
  CHECK(cudaStreamWaitEvent(side, forked) == cudaSuccess);
  CHECK(put(side, set, values.data(), 5) == cudaSuccess);
  CHECK(cudaEventRecord(joined, side) == cudaSuccess);
  if (joins_before_use) CHECK(cudaStreamWaitEvent(main, joined) == cudaSuccess);
  CHECK(put(main, copy, values.data(), values.data() + 1) == cudaSuccess);
  if (!joins_before_use) CHECK(cudaStreamWaitEvent(main, joined) == cudaSuccess);
  const Graph graph(main);
  CHECK(graph.launch(main) == cudaSuccess);
  CHECK(cudaStreamSynchronize(main) == cudaSuccess);
  CHECK(values[0] == 5);
  return values[1];
}

}  // namespace

TEST_CASE("streams fork from a capture and join it; a use before the join reads old data for some seeds") {
  int right = 0;
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    CHECK(forked_result(true, seed) == 5);
    right += forked_result(false, seed) == 5;
  }
  CHECK(right > 0);
  CHECK(right < 30);
}

TEST_CASE("launches of one graph do not overlap, on whatever streams") {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    const Deferred deferred(seed);
    const Stream first, second;
    const Numbers list(2), size(1);
    CHECK(begin(first) == cudaSuccess);
    CHECK(put(first, append, list.data(), size.data(), 4) == cudaSuccess);
    const Graph graph(first);
    CHECK(graph.launch(first) == cudaSuccess);
    CHECK(graph.launch(second) == cudaSuccess);
    CHECK(cudaStreamSynchronize(second) == cudaSuccess);
    CHECK(size[0] == 2);
  }
}

TEST_CASE("calls that a capture forbids return an error and spoil it") {
  const Deferred deferred;
  const Stream stream, other;
  const Event captured, outside;
  const Numbers value(1);
  void* block = nullptr;
  int pageable = 0;
  constexpr cudaError_t unsupported = cudaErrorStreamCaptureUnsupported;
  check_spoiled(
      stream, [&] { return cudaStreamSynchronize(stream); }, unsupported);
  check_spoiled(
      stream, [&] { return cudaStreamSynchronize(other); }, unsupported);
  check_spoiled(
      stream, [&] { return cudaDeviceSynchronize(); }, unsupported);
  check_spoiled(
      stream, [&] { return cudaStreamQuery(stream); }, unsupported);
  check_spoiled(
      stream, [&] { return cudaMalloc(&block, 4); }, unsupported);
  check_spoiled(
      stream, [&] { return cudaHostAlloc(&block, 4, 0); }, unsupported);
  check_spoiled(
      stream, [&] { return cudaFree(value.data()); }, unsupported);
  check_spoiled(
      stream, [&] { return cudaMemcpyAsync(value.data(), &pageable, 4, cudaMemcpyDefault, stream); }, unsupported);
  CHECK(cuda_emulation::counters().pageable_copies == 1);
  cudaEventRecord(outside, other);
  check_spoiled(
      stream, [&] { return cudaStreamWaitEvent(stream, outside); }, cudaErrorStreamCaptureIsolation);
  check_spoiled(
      stream, [&] { return cudaEventQuery(outside); }, unsupported);
}

TEST_CASE("another thread may do what the capturing one may not, but not ask for a captured event") {
  const Deferred deferred;
  const Stream stream;
  const Event captured, outside;
  const Numbers value(1);
  REQUIRE(begin(stream) == cudaSuccess);
  CHECK(put(stream, set, value.data(), 3) == cudaSuccess);
  CHECK(cudaEventRecord(captured, stream) == cudaSuccess);
  cudaError_t results[4]{};
  std::jthread([&] {
    void* block = nullptr;
    cudaGraph_t graph = nullptr;
    results[0] = cudaMalloc(&block, 4);
    cudaFree(block);
    results[1] = cudaEventQuery(outside);
    results[2] = cudaStreamEndCapture(stream, &graph);
  }).join();
  CHECK(results[0] == cudaSuccess);
  CHECK(results[1] == cudaSuccess);
  CHECK(results[2] == cudaErrorStreamCaptureWrongThread);
  { const Graph graph(stream); }
  check_spoiled(
      stream,
      [&] {
        cudaEventRecord(captured, stream);
        std::jthread([&] { results[3] = cudaEventQuery(captured); }).join();
        return results[3];
      },
      cudaErrorCapturedEvent);
}

TEST_CASE("captures end on the stream they began on, with all that forked joined again") {
  const Deferred deferred;
  const Stream main, side;
  const Event forked, joined;
  const Numbers value(1);
  cudaGraph_t graph = nullptr;
  CHECK(cudaStreamEndCapture(main, &graph) == cudaErrorInvalidValue);
  REQUIRE(begin(main) == cudaSuccess);
  cudaEventRecord(forked, main);
  cudaStreamWaitEvent(side, forked);
  put(side, set, value.data(), 1);
  CHECK(cudaStreamEndCapture(side, &graph) == cudaErrorStreamCaptureUnmatched);
  CHECK(cudaStreamEndCapture(main, &graph) == cudaErrorStreamCaptureUnjoined);
  CHECK(graph == nullptr);
  CHECK(cudaEventQuery(forked) == cudaErrorCapturedEvent);
  REQUIRE(begin(main) == cudaSuccess);
  REQUIRE(begin(side) == cudaSuccess);
  cudaEventRecord(joined, side);
  CHECK(cudaStreamWaitEvent(main, joined) == cudaErrorStreamCaptureMerge);
}

TEST_CASE("a stream destroyed while it captures spoils the capture, and ends its own") {
  const Deferred deferred;
  const Stream main;
  const Event forked;
  cudaGraph_t graph = nullptr;
  void* block = nullptr;
  {
    const Stream side;
    REQUIRE(begin(main) == cudaSuccess);
    cudaEventRecord(forked, main);
    cudaStreamWaitEvent(side, forked);
  }
  CHECK(cudaStreamEndCapture(main, &graph) == cudaErrorStreamCaptureInvalidated);
  {
    const Stream origin;
    REQUIRE(begin(origin) == cudaSuccess);
  }
  CHECK(cudaMalloc(&block, 4) == cudaSuccess);  // this thread no longer captures
  CHECK(cudaFree(block) == cudaSuccess);
}

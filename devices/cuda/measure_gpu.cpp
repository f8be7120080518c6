#include <cuda_runtime.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <new>

#include "devices/cuda/cuda_error.h"
#include "devices/cuda/cuda_queue.h"
#include "devices/cuda/measure.h"
#include "devices/machine.h"
#include "devices/measures.h"

namespace lenet_flow {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

/// The host thread near a GPU, for as long as this lives.
class NearGpu {
 public:
  explicit NearGpu(const Gpu& gpu) {
    check_cuda(cudaSetDevice(gpu.index), "choosing a GPU");
    if (!gpu.cores.empty()) Machine::here().pin_this_thread(gpu.cores);
  }
  ~NearGpu() { Machine::here().pin_this_thread(Machine::here().cores()); }
  NearGpu(const NearGpu&) = delete;
  NearGpu& operator=(const NearGpu&) = delete;
};

/// Memory of a GPU, or pinned memory of the host.
class Block {
 public:
  static constexpr int host = -1;

  /// `place`: a GPU's number, or `host`.
  Block(int place, std::size_t bytes) : place_(place) {
    if (place != host) check_cuda(cudaSetDevice(place), "choosing a GPU");
    const cudaError_t result =
        place == host ? cudaHostAlloc(&data_, bytes, cudaHostAllocPortable) : cudaMalloc(&data_, bytes);
    if (result == cudaErrorMemoryAllocation) {
      cudaGetLastError();  // or the next check would find it
      throw std::bad_alloc();
    }
    check_cuda(result, "allocating memory");
  }
  ~Block() {
    if (place_ == host)
      cudaFreeHost(data_);
    else
      cudaFree(data_);
  }
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;

  void* data() const { return data_; }
  float* floats() const { return static_cast<float*>(data_); }

 private:
  int place_;
  void* data_ = nullptr;
};

/// A point in a queue that the host can look at while the queue runs.
class Point {
 public:
  explicit Point(const CudaQueue& queue) : queue_(queue) {
    check_cuda(cudaSetDevice(queue.gpu()), "choosing a GPU");
    check_cuda(cudaEventCreateWithFlags(&event_, cudaEventDisableTiming), "making an event");
  }
  ~Point() { cudaEventDestroy(event_); }
  Point(const Point&) = delete;
  Point& operator=(const Point&) = delete;

  /// Behind what is in the queue now.
  void put() { check_cuda(cudaEventRecord(event_, queue_.stream()), "recording an event"); }
  /// Returns when the queue has come to it.
  void poll() const {
    cudaError_t result = cudaEventQuery(event_);
    while (result == cudaErrorNotReady) result = cudaEventQuery(event_);
    check_cuda(result, "asking for an event");
  }

 private:
  const CudaQueue& queue_;
  cudaEvent_t event_ = nullptr;
};

/// From the call of `work`, which puts things on the point's queue, until they are seen to be done.
template <typename Work>
double seconds_to_done(Point& done, Work&& work) {
  const Clock::time_point begin = Clock::now();
  work();
  done.put();
  done.poll();
  return seconds_since(begin);
}

/// A CUDA graph of one empty kernel.
class EmptyGraph {
 public:
  explicit EmptyGraph(const CudaQueue& queue) {
    check_cuda(cudaStreamBeginCapture(queue.stream(), cudaStreamCaptureModeThreadLocal), "recording a CUDA graph");
    run_empty_kernel(queue);
    check_cuda(cudaStreamEndCapture(queue.stream(), &graph_), "recording a CUDA graph");
    check_cuda(cudaGraphInstantiate(&ready_, graph_, 0), "making a CUDA graph");
  }
  ~EmptyGraph() {
    if (ready_) cudaGraphExecDestroy(ready_);
    if (graph_) cudaGraphDestroy(graph_);
  }
  EmptyGraph(const EmptyGraph&) = delete;
  EmptyGraph& operator=(const EmptyGraph&) = delete;

  void launch(const CudaQueue& queue) const {
    check_cuda(cudaGraphLaunch(ready_, queue.stream()), "launching a CUDA graph");
  }

 private:
  cudaGraph_t graph_ = nullptr;
  cudaGraphExec_t ready_ = nullptr;
};

struct LaunchTimes {
  double call = 0, to_done = 0;
};

/// Medians over many launches into an empty queue.
template <typename Launch>
LaunchTimes time_launches(const CudaQueue& queue, int launches, Launch&& launch) {
  Point done(queue);
  seconds_to_done(done, launch);  // the first one loads code
  std::vector<double> calls, to_done;
  for (int i = 0; i < launches; ++i) {
    const Clock::time_point begin = Clock::now();
    launch();
    calls.push_back(seconds_since(begin));
    done.put();
    done.poll();
    to_done.push_back(seconds_since(begin));
  }
  return {median(calls), median(to_done)};
}

double measure_flops(const CudaQueue& queue, const Gpu& gpu, const MeasureEffort& effort) {
  const auto blocks = static_cast<unsigned>(gpu.multiprocessors) * 8;  // fills GPUs of up to 2048 threads each
  constexpr unsigned threads = 256;
  const Block sink(gpu.index, sizeof(float) * blocks * threads);
  Point done(queue);
  double best = 0;
  for (int i = 0; i < effort.repeats; ++i) {
    double operations = 0;
    const double seconds = seconds_to_done(
        done, [&] { operations = run_multiply_adds(queue, blocks, threads, effort.flop_rounds, sink.floats()); });
    best = std::max(best, operations / seconds);
  }
  return best;
}

double measure_copying(const CudaQueue& queue, const MeasureEffort& effort) {
  constexpr int copies = 10;  // in a row, so that a launch's time does not count
  const auto floats = static_cast<std::int64_t>(effort.copied_bytes / sizeof(float));
  const Block from(queue.gpu(), effort.copied_bytes), to(queue.gpu(), effort.copied_bytes);
  check_cuda(cudaMemsetAsync(from.data(), 0, effort.copied_bytes, queue.stream()), "clearing memory");
  Point done(queue);
  double best = 0;
  for (int i = 0; i < effort.repeats; ++i) {
    const double seconds = seconds_to_done(done, [&] {
      for (int copy = 0; copy < copies; ++copy) run_copy(queue, from.floats(), to.floats(), floats);
    });
    best = std::max(best, 2.0 * copies * static_cast<double>(effort.copied_bytes) / seconds);
  }
  return best;
}

/// Puts one copy of so many bytes on its queue.
using Copy = std::function<void(std::size_t bytes)>;

LinkMeasure measure_direction(const CudaQueue& queue, const Copy& copy, const MeasureEffort& effort) {
  constexpr std::size_t smallest = 4096, most_copies = 100;
  LinkMeasure link;
  link.latency_seconds = time_launches(queue, effort.launches, [&] { copy(4); }).to_done;
  Point done(queue);
  for (std::size_t bytes = smallest; bytes <= effort.largest_copy; bytes *= 4) {
    const std::size_t copies = std::clamp<std::size_t>(effort.largest_copy / bytes, 1, most_copies);
    double best = 0;
    for (int i = 0; i < effort.repeats; ++i) {
      const double seconds = seconds_to_done(done, [&] {
        for (std::size_t k = 0; k < copies; ++k) copy(bytes);
      });
      best = std::max(best, static_cast<double>(copies * bytes) / seconds);
    }
    link.rates.push_back({bytes, best});
  }
  return link;
}

/// Both directions at work, on a queue each: bytes a second in all.
double measure_both(const CudaQueue& there, const Copy& copy_there, const CudaQueue& back, const Copy& copy_back,
                    const MeasureEffort& effort) {
  constexpr int copies = 8;
  const std::size_t bytes = std::max<std::size_t>(effort.largest_copy / 4, 4096);
  Point there_done(there), back_done(back);
  double best = 0;
  for (int i = 0; i < effort.repeats; ++i) {
    const Clock::time_point begin = Clock::now();
    for (int k = 0; k < copies; ++k) {
      copy_there(bytes);
      copy_back(bytes);
    }
    there_done.put();
    back_done.put();
    there_done.poll();
    back_done.poll();
    best = std::max(best, 2.0 * copies * static_cast<double>(bytes) / seconds_since(begin));
  }
  return best;
}

std::string name_of(const Gpu& gpu) { return "gpu" + std::to_string(gpu.index); }

/// Lets the first GPU reach the second one's memory.
void allow_peer(const Gpu& gpu, const Gpu& other) {
  check_cuda(cudaSetDevice(gpu.index), "choosing a GPU");
  const cudaError_t result = cudaDeviceEnablePeerAccess(other.index, 0);
  if (result == cudaErrorPeerAccessAlreadyEnabled)
    cudaGetLastError();  // or the next check would find it
  else
    check_cuda(result, "reaching another GPU's memory");
}

/// Both directions of a link, each with its queue and its copy; named a -> b.
std::vector<LinkMeasure> measure_link(const CudaQueue& there, const Copy& copy_there, const CudaQueue& back,
                                      const Copy& copy_back, const MeasureEffort& effort) {
  std::vector<LinkMeasure> links{measure_direction(there, copy_there, effort),
                                 measure_direction(back, copy_back, effort)};
  links[0].both_bytes_per_second = links[1].both_bytes_per_second =
      measure_both(there, copy_there, back, copy_back, effort);
  return links;
}

void name_link(std::vector<LinkMeasure>& links, const std::string& a, const std::string& b, const char* way) {
  links[0].from = links[1].to = a;
  links[0].to = links[1].from = b;
  links[0].way = links[1].way = way;
}

}  // namespace

GpuMeasure measure_gpu(const Gpu& gpu, const MeasureEffort& effort) {
  const NearGpu near(gpu);
  const CudaQueue queue(gpu.index);
  const EmptyGraph graph(queue);
  const LaunchTimes kernel = time_launches(queue, effort.launches, [&] { run_empty_kernel(queue); });
  const LaunchTimes graphs = time_launches(queue, effort.launches, [&] { graph.launch(queue); });
  return {gpu.index,
          measure_flops(queue, gpu, effort),
          measure_copying(queue, effort),
          kernel.call,
          kernel.to_done,
          graphs.call,
          graphs.to_done};
}

std::vector<LinkMeasure> measure_host_links(const Gpu& gpu, const MeasureEffort& effort) {
  const NearGpu near(gpu);
  const CudaQueue up(gpu.index), down(gpu.index);
  const std::size_t bytes = effort.largest_copy;
  const Block host_up(Block::host, bytes), gpu_up(gpu.index, bytes);
  const Block host_down(Block::host, bytes), gpu_down(gpu.index, bytes);
  check_cuda(cudaMemsetAsync(gpu_down.data(), 0, bytes, down.stream()), "clearing memory");
  std::fill_n(host_up.floats(), bytes / sizeof(float), 0.0F);
  const Copy copy_up = [&](std::size_t count) {
    check_cuda(cudaMemcpyAsync(gpu_up.data(), host_up.data(), count, cudaMemcpyHostToDevice, up.stream()), "copying");
  };
  const Copy copy_down = [&](std::size_t count) {
    check_cuda(cudaMemcpyAsync(host_down.data(), gpu_down.data(), count, cudaMemcpyDeviceToHost, down.stream()),
               "copying");
  };
  auto links = measure_link(up, copy_up, down, copy_down, effort);
  name_link(links, "cpu", name_of(gpu), "pinned host memory");
  return links;
}

std::vector<LinkMeasure> measure_peer_links(const Gpu& a, const Gpu& b, const MeasureEffort& effort) {
  const NearGpu near(a);
  const auto reaches = [](const Gpu& gpu, const Gpu& other) {
    return std::find(gpu.peers.begin(), gpu.peers.end(), other.index) != gpu.peers.end();
  };
  const bool direct = reaches(a, b) && reaches(b, a);
  if (direct) {
    allow_peer(a, b);
    allow_peer(b, a);
  }
  const CudaQueue there(a.index), back(b.index);
  const std::size_t bytes = effort.largest_copy;
  const Block there_from(a.index, bytes), there_to(b.index, bytes), back_from(b.index, bytes), back_to(a.index, bytes);
  // Without direct access the driver takes them through host memory by itself.
  const Copy copy_there = [&](std::size_t count) {
    check_cuda(cudaMemcpyPeerAsync(there_to.data(), b.index, there_from.data(), a.index, count, there.stream()),
               "copying between GPUs");
  };
  const Copy copy_back = [&](std::size_t count) {
    check_cuda(cudaMemcpyPeerAsync(back_to.data(), a.index, back_from.data(), b.index, count, back.stream()),
               "copying between GPUs");
  };
  auto links = measure_link(there, copy_there, back, copy_back, effort);
  name_link(links, name_of(a), name_of(b), direct ? "direct" : "through host memory");
  return links;
}

}  // namespace lenet_flow

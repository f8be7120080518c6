#include "tests/cuda_emulation/streams.h"

#include <algorithm>
#include <array>

#include "tests/cuda_emulation/capture.h"
#include "tests/cuda_emulation/devices.h"

namespace cuda_emulation {
namespace {

std::vector<std::unique_ptr<CUstream_st>> streams;  ///< all but default ones
std::array<CUstream_st, most_devices> default_streams = [] {
  std::array<CUstream_st, most_devices> all;
  for (int device = 0; device < most_devices; ++device) all[static_cast<std::size_t>(device)].device = device;
  return all;
}();
std::uint64_t entries_so_far = 0;

/// Thrown by an operation that a fault was ordered for.
struct Failure {
  cudaError_t error;
};
struct NeverEnds {};

template <typename Body>
void for_each_stream(Body body) {
  for (const auto& stream : streams) body(*stream);
  for (CUstream_st& stream : default_streams) body(stream);
}

void lose_device(int device, cudaError_t error) {
  runtime.device(device).error = error;
  for_each_stream([&](CUstream_st& stream) {
    if (stream.device == device) stream.entries.clear();
  });
}

bool is_ready(const CUstream_st& stream) {
  if (stream.entries.empty() || stream.hangs) return false;
  const auto& after = stream.entries.front().after;
  return !after || after->is_done;
}

void run_front(CUstream_st& stream) {
  const Entry entry = std::move(stream.entries.front());
  stream.entries.pop_front();
  try {
    if (entry.work) entry.work(stream.device);
  } catch (const NeverEnds&) {
    stream.hangs = true;
    return;
  } catch (const Failure& failure) {
    return lose_device(stream.device, failure.error);
  } catch (const Problem& problem) {
    if (runtime.order == Order::immediate) throw;
    runtime.last_problem = problem.what();
    return lose_device(stream.device, cudaErrorLaunchFailure);
  }
  if (entry.completes) *entry.completes = {true, std::chrono::steady_clock::now()};
}

void remove_destroyed() {
  std::erase_if(streams, [](const auto& stream) { return stream->is_destroyed && stream->is_done(); });
}

/// Does one thing of a stream drawn among those that can go on. False where none can.
bool run_one() {
  std::vector<CUstream_st*> ready;
  for_each_stream([&](CUstream_st& stream) {
    if (is_ready(stream)) ready.push_back(&stream);
  });
  if (ready.empty()) return false;
  const auto earlier = [](const CUstream_st* a, const CUstream_st* b) {
    return a->entries.front().number < b->entries.front().number;
  };
  std::sort(ready.begin(), ready.end(), earlier);
  run_front(*ready[choose(static_cast<unsigned>(ready.size()))]);
  remove_destroyed();
  return true;
}

}  // namespace

cudaStream_t make_stream(int device) {
  streams.push_back(std::make_unique<CUstream_st>());
  streams.back()->device = device;
  return streams.back().get();
}

void destroy_stream(cudaStream_t stream) {
  stream->is_destroyed = true;
  remove_destroyed();
}

CUstream_st& stream_of(cudaStream_t stream) {
  return stream ? *stream : default_streams[static_cast<std::size_t>(current_device)];
}

cudaError_t put(CUstream_st& stream, Work work) {
  Device& device = runtime.device(stream.device);
  if (device.error != cudaSuccess) return device.error;
  if (device.refuses.comes()) return device.refuses.error;
  if (stream.capture) return add_node(stream, std::move(work));
  return enqueue(stream, {nullptr, [work = std::move(work)](int on) { perform(work, on); }, nullptr});
}

cudaError_t enqueue(CUstream_st& stream, Entry entry) {
  entry.number = ++entries_so_far;
  stream.entries.push_back(std::move(entry));
  if (runtime.order == Order::immediate)
    while (is_ready(stream)) run_front(stream);
  return runtime.device(stream.device).error;
}

void perform(const Work& work, int device) {
  Device& state = runtime.device(device);
  const bool fails = state.fails.comes(), hangs = state.hangs.comes();
  if (fails) throw Failure{state.fails.error};
  if (hangs) throw NeverEnds{};
  work(device);
}

void run_some() {
  constexpr std::array<unsigned, 4> amounts{1, 0, 2, 3};  // the first is seed 0's: something has to happen
  for (unsigned left = amounts[choose(amounts.size())]; left > 0 && run_one(); --left) {
  }
}

cudaError_t run_until(int device, const std::function<bool()>& is_done) {
  const cudaError_t& error = runtime.device(device).error;
  while (error == cudaSuccess && !is_done()) {
    if (run_one()) continue;
    count(&Counters::endless_waits);
    return cudaErrorLaunchTimeout;
  }
  return error;
}

bool is_device_done(int device) {
  bool is_done = true;
  for_each_stream([&](const CUstream_st& stream) { is_done &= stream.device != device || stream.is_done(); });
  return is_done;
}

void forget_work() {
  for_each_stream([](CUstream_st& stream) {
    stream.entries.clear();
    stream.hangs = false;
    stream.capture = nullptr;
  });
  remove_destroyed();
  forget_captures();
}

cudaError_t launch_kernel(cudaStream_t stream, Work work) {
  return call([&] {
    CUstream_st& on = stream_of(stream);
    if (on.device != current_device) return cudaErrorInvalidResourceHandle;
    return put(on, std::move(work));
  });
}

}  // namespace cuda_emulation

#include <utility>

#include "tests/cuda_emulation/capture.h"
#include "tests/cuda_emulation/devices.h"
#include "tests/cuda_emulation/streams.h"

using cuda_emulation::call;
using cuda_emulation::call_on;
using cuda_emulation::Capture;
using cuda_emulation::Completion;
using cuda_emulation::Counters;
using cuda_emulation::current_device;
using cuda_emulation::Node;
using cuda_emulation::stream_of;

struct CUgraph_st {
  std::vector<Node> nodes;
};

struct CUgraphExec_st {
  std::shared_ptr<const std::vector<Node>> nodes;
  std::shared_ptr<const Completion> last_launch;  ///< launches of one graph do not overlap
};

namespace {

bool is_done(const CUevent_st& event) { return !event.completion || event.completion->is_done; }

/// For calls that ask about an event: the error where its record is captured, or the thread captures.
cudaError_t check_not_captured(const CUevent_st& event) {
  if (const cudaError_t error = cuda_emulation::forbid_in_capture()) return error;
  if (!event.capture) return cudaSuccess;
  event.capture->is_valid = false;
  return cudaErrorCapturedEvent;
}

}  // namespace

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
  return cudaStreamCreateWithPriority(stream, flags, 0);
}

cudaError_t cudaStreamCreateWithPriority(cudaStream_t* stream, unsigned flags, int) {
  return call_on(current_device, [&] {
    if (flags != cudaStreamNonBlocking) return cudaErrorInvalidValue;
    count(&Counters::allocations);
    *stream = cuda_emulation::make_stream(current_device);
    return cudaSuccess;
  });
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  return call([&] {
    if (!stream) return cudaErrorInvalidResourceHandle;
    cuda_emulation::leave_capture(*stream);
    const cudaError_t error = cuda_emulation::runtime.device(stream->device).error;
    cuda_emulation::destroy_stream(stream);
    return error;
  });
}

cudaError_t cudaStreamQuery(cudaStream_t stream) {
  CUstream_st& asked = stream_of(stream);
  return call_on(asked.device, [&] {
    if (const cudaError_t error = cuda_emulation::forbid_in_capture(&asked)) return error;
    if (!asked.is_done()) cuda_emulation::run_some();
    if (const cudaError_t error = cuda_emulation::runtime.device(asked.device).error) return error;
    return asked.is_done() ? cudaSuccess : cudaErrorNotReady;
  });
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  CUstream_st& waited = stream_of(stream);
  return call_on(waited.device, [&] {
    if (const cudaError_t error = cuda_emulation::forbid_in_capture(&waited)) return error;
    count(&Counters::synchronizations);
    return cuda_emulation::run_until(waited.device, [&] { return waited.is_done(); });
  });
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags) {
  CUstream_st& waits = stream_of(stream);
  return call_on(waits.device, [&] {
    if (flags != 0) return cudaErrorInvalidValue;
    if (event->capture || waits.capture) return cuda_emulation::capture_wait(waits, event->capture, event->nodes);
    if (is_done(*event)) return cudaSuccess;
    return cuda_emulation::enqueue(waits, {event->completion, nullptr, nullptr});
  });
}

cudaError_t cudaEventCreate(cudaEvent_t* event) { return cudaEventCreateWithFlags(event, cudaEventDefault); }

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags) {
  return call_on(current_device, [&] {
    if ((flags & ~cudaEventDisableTiming) != 0) return cudaErrorInvalidValue;
    count(&Counters::allocations);
    *event = new CUevent_st;
    (*event)->device = current_device;
    (*event)->is_timed = flags == cudaEventDefault;
    return cudaSuccess;
  });
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  return call([&] {
    if (!event) return cudaErrorInvalidResourceHandle;
    const cudaError_t error = cuda_emulation::runtime.device(event->device).error;
    delete event;
    return error;
  });
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  CUstream_st& on = stream_of(stream);
  return call_on(on.device, [&] {
    if (event->device != on.device) return cudaErrorInvalidResourceHandle;
    event->capture = on.capture;
    event->nodes = on.last_nodes;
    if (on.capture) return on.capture->is_valid ? cudaSuccess : cudaErrorStreamCaptureInvalidated;
    event->completion = std::make_shared<Completion>();
    return cuda_emulation::enqueue(on, {nullptr, nullptr, event->completion});
  });
}

cudaError_t cudaEventQuery(cudaEvent_t event) {
  return call_on(event->device, [&] {
    if (const cudaError_t error = check_not_captured(*event)) return error;
    if (!is_done(*event)) cuda_emulation::run_some();
    if (const cudaError_t error = cuda_emulation::runtime.device(event->device).error) return error;
    return is_done(*event) ? cudaSuccess : cudaErrorNotReady;
  });
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  return call_on(event->device, [&] {
    if (const cudaError_t error = check_not_captured(*event)) return error;
    count(&Counters::synchronizations);
    return cuda_emulation::run_until(event->device, [&] { return is_done(*event); });
  });
}

cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t start, cudaEvent_t end) {
  return call_on(end->device, [&] {
    if (!start->is_timed || !end->is_timed || !start->completion || !end->completion || start->capture || end->capture)
      return cudaErrorInvalidResourceHandle;
    if (!is_done(*start) || !is_done(*end)) return cudaErrorNotReady;
    *milliseconds = std::chrono::duration<float, std::milli>(end->completion->time - start->completion->time).count();
    return cudaSuccess;
  });
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  if (!stream) return cudaErrorStreamCaptureUnsupported;  // the default stream
  return call_on(stream->device, [&] { return cuda_emulation::begin_capture(*stream); });
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  *graph = nullptr;
  return call_on(stream_of(stream).device, [&] {
    std::vector<Node> nodes;
    if (const cudaError_t error = cuda_emulation::end_capture(stream_of(stream), nodes)) return error;
    count(&Counters::allocations);
    *graph = new CUgraph_st{std::move(nodes)};
    return cudaSuccess;
  });
}

cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status) {
  return call([&] {
    const auto& capture = stream_of(stream).capture;
    *status = !capture            ? cudaStreamCaptureStatusNone
              : capture->is_valid ? cudaStreamCaptureStatusActive
                                  : cudaStreamCaptureStatusInvalidated;
    return cudaSuccess;
  });
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* exec, cudaGraph_t graph, unsigned long long) {
  return call_on(current_device, [&] {
    count(&Counters::allocations);
    *exec = new CUgraphExec_st{std::make_shared<const std::vector<Node>>(graph->nodes), nullptr};
    return cudaSuccess;
  });
}

cudaError_t cudaGraphUpload(cudaGraphExec_t, cudaStream_t stream) {
  return call_on(stream_of(stream).device, [] { return cudaSuccess; });
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream) {
  CUstream_st& on = stream_of(stream);
  return call_on(on.device, [&] {
    if (on.capture) return cuda_emulation::forbid_in_capture(&on);  // this program puts no graph into another
    auto& refuses = cuda_emulation::runtime.device(on.device).refuses;
    if (refuses.comes()) return refuses.error;
    auto completion = std::make_shared<Completion>();
    const auto earlier = std::exchange(exec->last_launch, completion);
    return cuda_emulation::enqueue(
        on, {earlier, [nodes = exec->nodes](int) { cuda_emulation::run_graph(*nodes); }, std::move(completion)});
  });
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) {
  return call([&] {
    delete exec;
    return cudaSuccess;
  });
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  return call([&] {
    delete graph;
    return cudaSuccess;
  });
}

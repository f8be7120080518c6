#include "tests/cuda_emulation/capture.h"

#include <algorithm>

#include "tests/cuda_emulation/devices.h"

namespace cuda_emulation {
namespace {

std::vector<std::shared_ptr<Capture>> captures;  ///< that have not ended

void join(CUstream_st& stream, const std::shared_ptr<Capture>& capture) {
  stream.capture = capture;
  stream.last_nodes.clear();
  capture->joined.push_back(&stream);
}

void end(const std::shared_ptr<Capture>& capture) {
  capture->has_ended = true;
  for (CUstream_st* joined : capture->joined) joined->capture = nullptr;
  std::erase(captures, capture);
}

/// Whether the origin comes after all that the other streams captured.
bool is_joined_again(const Capture& capture) {
  std::vector<bool> is_before(capture.nodes.size());
  for (const std::size_t node : capture.origin->last_nodes) is_before[node] = true;
  for (std::size_t node = capture.nodes.size(); node-- > 0;)
    if (is_before[node])
      for (const std::size_t earlier : capture.nodes[node].after) is_before[earlier] = true;
  return std::find(is_before.begin(), is_before.end(), false) == is_before.end();
}

}  // namespace

cudaError_t begin_capture(CUstream_st& stream) {
  if (stream.capture) return cudaErrorStreamCaptureUnsupported;
  auto capture = std::make_shared<Capture>();
  capture->thread = std::this_thread::get_id();
  capture->origin = &stream;
  captures.push_back(capture);
  join(stream, capture);
  return cudaSuccess;
}

cudaError_t end_capture(CUstream_st& stream, std::vector<Node>& nodes) {
  const std::shared_ptr<Capture> capture = stream.capture;
  if (!capture) return cudaErrorInvalidValue;
  if (capture->thread != std::this_thread::get_id()) return cudaErrorStreamCaptureWrongThread;
  if (capture->origin != &stream) return cudaErrorStreamCaptureUnmatched;
  const bool is_whole = is_joined_again(*capture);
  end(capture);
  if (!capture->is_valid) return cudaErrorStreamCaptureInvalidated;
  if (!is_whole) return cudaErrorStreamCaptureUnjoined;
  nodes = std::move(capture->nodes);
  return cudaSuccess;
}

cudaError_t add_node(CUstream_st& stream, Work work) {
  Capture& capture = *stream.capture;
  if (!capture.is_valid) return cudaErrorStreamCaptureInvalidated;
  capture.nodes.push_back({std::move(work), stream.device, stream.last_nodes});
  stream.last_nodes = {capture.nodes.size() - 1};
  return cudaSuccess;
}

cudaError_t capture_wait(CUstream_st& stream, const std::shared_ptr<Capture>& capture,
                         const std::vector<std::size_t>& nodes) {
  if (!capture) {  // the event of something outside of the stream's capture
    stream.capture->is_valid = false;
    return cudaErrorStreamCaptureIsolation;
  }
  if (capture->has_ended) return cudaErrorCapturedEvent;
  if (!capture->is_valid) return cudaErrorStreamCaptureInvalidated;
  if (!stream.capture) join(stream, capture);
  if (stream.capture != capture) {
    stream.capture->is_valid = capture->is_valid = false;
    return cudaErrorStreamCaptureMerge;
  }
  for (const std::size_t node : nodes)
    if (std::find(stream.last_nodes.begin(), stream.last_nodes.end(), node) == stream.last_nodes.end())
      stream.last_nodes.push_back(node);
  return cudaSuccess;
}

void leave_capture(CUstream_st& stream) {
  const std::shared_ptr<Capture> capture = stream.capture;
  if (!capture) return;
  capture->is_valid = false;
  if (capture->origin == &stream) return end(capture);
  std::erase(capture->joined, &stream);
}

cudaError_t forbid_in_capture(const CUstream_st* stream) {
  cudaError_t result = cudaSuccess;
  for (const auto& capture : captures) {
    if (capture->thread != std::this_thread::get_id() && !(stream && stream->capture == capture)) continue;
    capture->is_valid = false;
    result = cudaErrorStreamCaptureUnsupported;
  }
  return result;
}

void forget_captures() { captures.clear(); }

void run_graph(const std::vector<Node>& nodes) {
  std::vector<bool> is_done(nodes.size());
  for (std::size_t done = 0; done < nodes.size(); ++done) {
    std::vector<std::size_t> ready;
    for (std::size_t i = 0; i < nodes.size(); ++i)
      if (!is_done[i] && std::all_of(nodes[i].after.begin(), nodes[i].after.end(),
                                     [&](std::size_t earlier) { return is_done[earlier]; }))
        ready.push_back(i);
    const std::size_t next = ready[choose(static_cast<unsigned>(ready.size()))];
    perform(nodes[next].work, nodes[next].device);
    is_done[next] = true;
  }
}

}  // namespace cuda_emulation

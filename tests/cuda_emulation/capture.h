#pragma once

#include <memory>
#include <thread>
#include <vector>

#include "tests/cuda_emulation/streams.h"

namespace cuda_emulation {

/// A graph's kernel, copy or memset.
struct Node {
  Work work;
  int device = 0;
  std::vector<std::size_t> after;  ///< numbers of earlier nodes
};

/// What lies between cudaStreamBeginCapture() and cudaStreamEndCapture().
struct Capture {
  std::thread::id thread;  ///< that began it
  CUstream_st* origin = nullptr;
  std::vector<CUstream_st*> joined;  ///< streams that capture into it, with the origin
  std::vector<Node> nodes;
  bool is_valid = true;
  bool has_ended = false;
};

// The caller of these holds the runtime's lock.

cudaError_t begin_capture(CUstream_st& stream);
/// Sets `nodes` where it returns cudaSuccess.
cudaError_t end_capture(CUstream_st& stream, std::vector<Node>& nodes);
/// Puts work into what the stream captures.
cudaError_t add_node(CUstream_st& stream, Work work);
/// Lets what the stream captures next come after `nodes` of the capture; a stream that captures nothing joins it.
cudaError_t capture_wait(CUstream_st& stream, const std::shared_ptr<Capture>& capture,
                         const std::vector<std::size_t>& nodes);
/// Before a stream is destroyed: spoils what it captures, and ends that where it began there.
void leave_capture(CUstream_st& stream);
/// For calls that are forbidden to a thread while it captures, or on a stream that captures: ends the validity of those
/// captures and returns the call's error, or cudaSuccess where there is no such capture.
cudaError_t forbid_in_capture(const CUstream_st* stream = nullptr);
void forget_captures();

/// Does all nodes, each after those it comes after, otherwise in an order drawn at random.
void run_graph(const std::vector<Node>& nodes);

}  // namespace cuda_emulation

#pragma once

#include <cstdint>
#include <type_traits>
#include <utility>

namespace lenet_flow {

/// The kinds of device that a layer can be pinned to.
enum class DeviceKind {
  cpu,   ///< a set of CPU cores
  cuda,  ///< one NVIDIA GPU
};

/// What a kernel gives its work to: the cores of a CPU device, a stream of a GPU. Kernels of a kind cast it to
/// that kind's queue.
class WorkQueue {
 public:
  virtual ~WorkQueue() = default;
  virtual DeviceKind kind() const = 0;
};

/// The cores of one CPU device, as kernels see them: no threads, no TBB, only a loop that may run in parallel.
class CpuQueue : public WorkQueue {
 public:
  DeviceKind kind() const override { return DeviceKind::cpu; }

  /// Number of cores; worker numbers lie in [0, cores()).
  virtual int cores() const = 0;

  /// Calls body(begin, end, worker) over pieces of [0, count) that are multiples of `grain` long (but for the last)
  /// and returns when all are done. Which piece runs on which worker, and how long a piece is, may differ from run
  /// to run: a body must compute each index with the same arithmetic wherever it lies. `worker` is unique among
  /// the bodies running at one time, for scratch memory. Exceptions of a body come out of this call.
  template <typename Body>
  void parallel_for(std::int64_t count, std::int64_t grain, Body&& body) {
    if (count <= 0) return;
    if (cores() == 1 || count <= grain) {
      body(std::int64_t{0}, count, 0);
      return;
    }
    using Plain = std::remove_reference_t<Body>;
    run_pieces(count, grain, &body, [](void* context, std::int64_t begin, std::int64_t end, int worker) {
      (*static_cast<Plain*>(context))(begin, end, worker);
    });
  }

 protected:
  using Piece = void (*)(void* context, std::int64_t begin, std::int64_t end, int worker);
  virtual void run_pieces(std::int64_t count, std::int64_t grain, void* context, Piece piece) = 0;
};

/// The queue of one core, for tests and for work outside a device: runs everything in the caller's thread.
class SerialQueue final : public CpuQueue {
 public:
  int cores() const override { return 1; }

 protected:
  void run_pieces(std::int64_t count, std::int64_t, void* context, Piece piece) override {
    piece(context, 0, count, 0);
  }
};

}  // namespace lenet_flow

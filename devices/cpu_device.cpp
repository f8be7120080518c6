#include "devices/cpu_device.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <tbb/blocked_range.h>
#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>
#include <tbb/task_scheduler_observer.h>

#include <Eigen/Core>
#include <algorithm>
#include <cstring>
#include <new>

#include "devices/machine.h"

namespace lenet_flow {
namespace {

constexpr std::align_val_t block_alignment{64};

/// Pins every thread that enters an arena to the arena's cores, and lets it loose again when it leaves: oneTBB's
/// workers wander between arenas.
class PinningObserver final : public tbb::task_scheduler_observer {
 public:
  PinningObserver(tbb::task_arena& arena, const std::vector<int>& cores)
      : tbb::task_scheduler_observer(arena), cores_(cores) {
    observe(true);
  }
  ~PinningObserver() override { observe(false); }

  void on_scheduler_entry(bool) override { Machine::here().pin_this_thread(cores_); }
  void on_scheduler_exit(bool is_worker) override {
    if (is_worker) Machine::here().pin_this_thread(Machine::here().cores());
  }

 private:
  const std::vector<int>& cores_;
};

}  // namespace

/// Loops over an arena. A wait inside a kernel is isolated: a core that helps there must not pick up another node of
/// the device's flow graph and run it in the middle of this one.
class CpuDevice::Queue final : public CpuQueue {
 public:
  explicit Queue(const std::vector<int>& cores)
      : cores_(static_cast<int>(cores.size())), arena_(cores_, 1), observer_(arena_, cores) {
    arena_.initialize();
  }

  int cores() const override { return cores_; }
  tbb::task_arena& arena() { return arena_; }

 protected:
  void run_pieces(std::int64_t count, std::int64_t grain, void* context, Piece piece) override {
    const std::int64_t grains = (count + grain - 1) / grain;
    tbb::this_task_arena::isolate([&] {
      tbb::parallel_for(tbb::blocked_range<std::int64_t>(0, grains),
                        [&](const tbb::blocked_range<std::int64_t>& range) {
                          piece(context, range.begin() * grain, std::min(count, range.end() * grain),
                                tbb::this_task_arena::current_thread_index());
                        });
    });
  }

 private:
  int cores_;
  tbb::task_arena arena_;
  PinningObserver observer_;
};

CpuDevice::CpuDevice(std::string name, std::vector<int> cores)
    : Device(std::move(name)), cores_(std::move(cores)), queue_(std::make_unique<Queue>(cores_)) {}

CpuDevice::~CpuDevice() = default;

std::string CpuDevice::description() const {
  return fmt::format("{} core{} ({})", cores_.size(), cores_.size() == 1 ? "" : "s", fmt::join(cores_, ", "));
}

WorkQueue& CpuDevice::queue() { return *queue_; }

void CpuDevice::run_host(const std::function<void()>& body) { queue_->arena().execute(body); }

std::byte* CpuDevice::allocate(std::size_t bytes) {
  bytes = std::max<std::size_t>(bytes, 64);
  auto* block = static_cast<std::byte*>(::operator new(bytes, block_alignment));
  blocks_.emplace_back(block);
  std::memset(block, 0, bytes);
  count_allocation(bytes);
  return block;
}

void CpuDevice::AlignedDelete::operator()(std::byte* block) const { ::operator delete(block, block_alignment); }

std::int64_t CpuDevice::activation_floats(const Shape& shape, std::int64_t images) const {
  return shape.elements() * images;
}

void CpuDevice::write_activation(std::span<const float> from, const Tensor& to) {
  std::copy(from.begin(), from.end(), to.data);
}

void CpuDevice::read_activation(const Tensor& from, std::span<float> to) {
  std::copy_n(from.data, to.size(), to.begin());
}

void CpuDevice::write_parameter(std::span<const float> from, const ParameterView& to) {
  std::copy(from.begin(), from.end(), to.data);
}

void CpuDevice::read_parameter(const ParameterView& from, std::span<float> to) {
  std::copy_n(from.data, to.size(), to.begin());
}

void CpuDevice::write_bytes(std::span<const std::byte> from, std::byte* to) { std::copy(from.begin(), from.end(), to); }

void CpuDevice::read_bytes(const std::byte* from, std::span<std::byte> to) { std::copy_n(from, to.size(), to.begin()); }

void CpuDevice::accumulate(WorkQueue& queue, const float* from, float* to, std::int64_t floats, bool first) {
  constexpr std::int64_t grain = 16384;
  using Floats = Eigen::Map<Eigen::ArrayXf>;
  using ConstantFloats = Eigen::Map<const Eigen::ArrayXf>;
  static_cast<CpuQueue&>(queue).parallel_for(floats, grain, [&](std::int64_t begin, std::int64_t end, int) {
    const ConstantFloats more(from + begin, end - begin);
    Floats sum(to + begin, end - begin);
    if (first)
      sum = more;
    else
      sum += more;
  });
}

}  // namespace lenet_flow

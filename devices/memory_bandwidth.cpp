#include "devices/memory_bandwidth.h"

#include <algorithm>
#include <barrier>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <memory>
#include <thread>

#include "devices/machine.h"

namespace lenet_flow {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int rounds = 8;
constexpr std::uint64_t least_array_bytes = std::uint64_t{64} << 20, most_array_bytes = std::uint64_t{4} << 30;

/// Of each of the three arrays, over all cores: four times the last cache, as STREAM asks for, but little beside the
/// memory that is free.
std::uint64_t array_bytes() {
  const auto& caches = Machine::here().cache_bytes();
  const std::uint64_t wanted = caches.empty() ? 0 : 4 * caches.back();
  return std::min(std::clamp(wanted, least_array_bytes, most_array_bytes), Machine::available_bytes() / 12);
}

/// One core's part of the arrays. Made on that core, so that its pages lie near.
class Arrays {
 public:
  explicit Arrays(std::size_t floats) : floats_(floats), a_(floats, 0.0F), b_(floats, 1.0F), c_(floats, 2.0F) {}

  [[gnu::noinline]] void copy() { std::memcpy(a_.data(), b_.data(), floats_ * sizeof(float)); }
  [[gnu::noinline]] void triad() {
    float* a = a_.data();
    const float *b = b_.data(), *c = c_.data();
    for (std::size_t i = 0; i < floats_; ++i) a[i] = b[i] + 3.0F * c[i];
  }

 private:
  std::size_t floats_;
  std::vector<float> a_, b_, c_;
};

/// Runs `work` on every core `rounds` times, all at once. Returns the seconds of the fastest round, in one core's view
/// (all others' differ by what a barrier takes).
template <typename Work>
double best_round(std::barrier<>& all, Work&& work) {
  double best = 1e300;
  for (int round = 0; round < rounds; ++round) {
    all.arrive_and_wait();
    const Clock::time_point begin = Clock::now();
    work();
    all.arrive_and_wait();
    best = std::min(best, std::chrono::duration<double>(Clock::now() - begin).count());
  }
  return best;
}

}  // namespace

MemoryBandwidth measure_memory_bandwidth(const std::vector<int>& cores) {
  if (cores.empty()) return {};
  const std::size_t floats = std::max<std::size_t>(array_bytes() / sizeof(float) / cores.size(), 1024);
  std::vector<std::unique_ptr<Arrays>> arrays(cores.size());
  for (std::size_t i = 0; i < cores.size(); ++i) {
    std::exception_ptr failure;
    std::thread([&] {
      Machine::here().pin_this_thread({cores[i]});
      try {
        arrays[i] = std::make_unique<Arrays>(floats);
      } catch (...) {
        failure = std::current_exception();
      }
    }).join();
    if (failure) std::rethrow_exception(failure);
  }
  double copy_seconds = 0, triad_seconds = 0;  // as the first core sees them
  std::barrier<> all(static_cast<std::ptrdiff_t>(cores.size()));
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < cores.size(); ++i)
    threads.emplace_back([&, i] {
      Machine::here().pin_this_thread({cores[i]});
      const double copy = best_round(all, [&] { arrays[i]->copy(); });
      const double triad = best_round(all, [&] { arrays[i]->triad(); });
      if (i > 0) return;
      copy_seconds = copy;
      triad_seconds = triad;
    });
  for (std::thread& thread : threads) thread.join();
  const double bytes = static_cast<double>(floats * sizeof(float) * cores.size());
  return {2 * bytes / copy_seconds, 3 * bytes / triad_seconds};
}

}  // namespace lenet_flow

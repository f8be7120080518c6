#include "devices/peak_flops.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <thread>

#include "devices/machine.h"

// The SIMD targets are those of layers/cpu/matrix_product.cpp.
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "devices/peak_flops.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.h, as Highway wants it.
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace lenet_flow {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;
using Lanes = HWY_CAPPED(float, 16);

/// As many independent sums as hide a multiply-add's latency (4 or 5 cycles at two a cycle) and fit 16 registers.
constexpr int sums = 12;

/// `rounds` times one multiply-add for each sum; returns how many operations that were. `sink` gets the result, so that
/// the compiler leaves the work in.
double multiply_add(std::int64_t rounds, float* sink) {
  const Lanes lanes;
  hn::Vec<Lanes> sum[sums];
  for (int i = 0; i < sums; ++i) sum[i] = hn::Set(lanes, static_cast<float>(i));
  // Values tend to 2: neither denormal nor infinite numbers come up.
  const auto factor = hn::Set(lanes, 0.5F), term = hn::Set(lanes, 1.0F);
  for (std::int64_t round = 0; round < rounds; ++round)
    for (int i = 0; i < sums; ++i) sum[i] = hn::MulAdd(sum[i], factor, term);
  for (int i = 1; i < sums; ++i) sum[0] = hn::Add(sum[0], sum[i]);
  *sink = hn::GetLane(sum[0]);
  return 2.0 * sums * static_cast<double>(rounds) * static_cast<double>(hn::Lanes(lanes));
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace lenet_flow
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lenet_flow {
namespace {

HWY_EXPORT(multiply_add);

/// The best rate of the calling thread over `seconds`.
double best_rate(double seconds) {
  using Clock = std::chrono::steady_clock;
  constexpr std::int64_t rounds = 50'000;  // some hundred microseconds: longer than what the clock costs
  volatile float kept = 0;
  double best = 0;
  const Clock::time_point begin = Clock::now();
  for (Clock::time_point now = begin; std::chrono::duration<double>(now - begin).count() < seconds;) {
    float sink = 0;
    const double operations = HWY_DYNAMIC_DISPATCH(multiply_add)(rounds, &sink);
    kept = sink;
    const Clock::time_point after = Clock::now();
    best = std::max(best, operations / std::chrono::duration<double>(after - now).count());
    now = after;
  }
  (void)kept;
  return best;
}

}  // namespace

double measure_peak_flops(const std::vector<int>& cores, double seconds) {
  std::vector<double> rates(cores.size());
  std::vector<std::thread> threads;
  std::atomic<std::size_t> ready{0};
  for (std::size_t i = 0; i < cores.size(); ++i)
    threads.emplace_back([&, i] {
      Machine::here().pin_this_thread({cores[i]});
      // All at once: what cores share (power, the two threads of one core) is shared.
      ready.fetch_add(1);
      while (ready.load() < cores.size()) std::this_thread::yield();
      rates[i] = best_rate(seconds);
    });
  for (std::thread& thread : threads) thread.join();
  double sum = 0;
  for (const double rate : rates) sum += rate;
  return sum;
}

}  // namespace lenet_flow
#endif  // HWY_ONCE

#include "engine/trace/clock.h"

#include <fstream>
#include <string>
#include <thread>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace lenet_flow {
namespace {

#if defined(__x86_64__)
/// Invariant says the processor; and the kernel, which also knows of several sockets and of hypervisors, keeps it among
/// its clock sources.
bool counter_is_invariant() {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  if (!__get_cpuid(0x80000007, &eax, &ebx, &ecx, &edx) || !(edx >> 8 & 1)) return false;
  std::ifstream file("/sys/devices/system/clocksource/clocksource0/available_clocksource");
  for (std::string source; file >> source;)
    if (source == "tsc") return true;
  return false;
}

struct Reading {
  std::uint64_t ticks = 0;
  Nanoseconds nanoseconds = 0;
};

/// Both clocks at one moment: of some tries the one that took the least time.
Reading read_both() {
  Reading best;
  std::uint64_t tightest = ~std::uint64_t{0};
  for (int i = 0; i < 16; ++i) {
    const std::uint64_t before = __rdtsc();
    const Nanoseconds now = steady_clock_now();
    const std::uint64_t after = __rdtsc();
    if (after - before >= tightest) continue;
    tightest = after - before;
    best = {before + (after - before) / 2, now};
  }
  return best;
}

ClockScale calibrate() {
  if (!counter_is_invariant()) return {};
  const Reading first = read_both();
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  const Reading second = read_both();
  if (second.ticks <= first.ticks || second.nanoseconds <= first.nanoseconds) return {};
  const double per_tick =
      static_cast<double>(second.nanoseconds - first.nanoseconds) / static_cast<double>(second.ticks - first.ticks);
  return {true, second.ticks, second.nanoseconds, static_cast<std::uint64_t>(per_tick * 4294967296.0)};
}
#else
ClockScale calibrate() { return {}; }
#endif

}  // namespace

const ClockScale& ClockScale::get() {
  static const ClockScale scale = calibrate();
  return scale;
}

std::string clock_source() { return ClockScale::get().counter ? "time-stamp counter" : "steady clock"; }

double clock_drift_ppm() {
  const ClockScale& scale = ClockScale::get();
  if (!scale.counter) return 0;
  const Nanoseconds truth = steady_clock_now(), ours = steady_now();
  const Nanoseconds passed = truth - scale.nanoseconds;
  return passed > 0 ? static_cast<double>(ours - truth) / static_cast<double>(passed) * 1e6 : 0;
}

}  // namespace lenet_flow

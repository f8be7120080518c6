#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <thread>

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

namespace lenet_flow {

/// Nanoseconds of the steady clock.
using Nanoseconds = std::int64_t;

/// How the processor's time-stamp counter maps onto the steady clock. Fixed for the process at first use.
struct ClockScale {
  bool counter = false;  ///< false: there is no counter that runs evenly on all cores; the steady clock is asked
  std::uint64_t ticks = 0;
  Nanoseconds nanoseconds = 0;     ///< the steady clock at `ticks`
  std::uint64_t per_tick = 0;      ///< nanoseconds a tick, in units of 2^-32
  static const ClockScale& get();  ///< the first call takes 5 ms
};

/// The steady clock itself.
inline Nanoseconds steady_clock_now() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

/// Nanoseconds of the steady clock, read off the time-stamp counter where that is invariant (Intel SDM vol. 3B, 18.17.1
/// "Invariant TSC"; half the cost of clock_gettime), off clock_gettime otherwise.
inline Nanoseconds steady_now() {
#if defined(__x86_64__)
  const ClockScale& scale = ClockScale::get();
  if (scale.counter) {
    const auto passed = static_cast<std::int64_t>(__rdtsc() - scale.ticks);
    __extension__ using Wide = __int128;
    return scale.nanoseconds +
           static_cast<Nanoseconds>((static_cast<Wide>(passed) * static_cast<Wide>(scale.per_tick)) >> 32);
  }
#endif
  return steady_clock_now();
}

/// For loops that wait: lets the core's other thread go first.
inline void pause_a_moment() {
#if defined(__x86_64__)
  _mm_pause();
#else
  std::this_thread::yield();
#endif
}

/// What steady_now() reads: "time-stamp counter" or "steady clock".
std::string clock_source();
/// How far steady_now() has run away from the steady clock since it was set, in millionths; the other end of the
/// calibration. Large where the machine slept or its counter is not what it says.
double clock_drift_ppm();

}  // namespace lenet_flow

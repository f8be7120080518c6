#include "engine/trace/clock.h"

#include <doctest/doctest.h>

#include <chrono>
#include <cmath>
#include <thread>

using namespace lenet_flow;

TEST_CASE("the clock keeps step with the steady clock and never goes back") {
  const Nanoseconds begin = steady_now(), truth = steady_clock_now();
  CHECK(std::abs(begin - truth) < 5'000'000);
  Nanoseconds last = begin;
  bool forward = true;
  for (int i = 0; i < 100'000; ++i) {
    const Nanoseconds now = steady_now();
    forward = forward && now >= last;
    last = now;
  }
  CHECK(forward);
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  const Nanoseconds ours = steady_now() - begin, theirs = steady_clock_now() - truth;
  // A busy machine may stop this thread between two readings.
  CHECK(std::abs(static_cast<double>(ours - theirs)) < 5e6);
  CHECK(std::abs(clock_drift_ppm()) < 1e5);
  CHECK((clock_source() == "time-stamp counter" || clock_source() == "steady clock"));
}

#include "devices/peak_flops.h"

#include <doctest/doctest.h>

#include "devices/machine.h"

using namespace lenet_flow;

TEST_CASE("A core's peak is what a processor can have") {
  const int core = Machine::here().cores().front();
  const double peak = measure_peak_flops({core}, 0.01);
  CHECK(peak > 1e8);  // also under sanitizers, on a busy machine
  // Two multiply-adds of 16 numbers a cycle, at a clock that nobody reaches.
  CHECK(peak < 2.0 * 2 * 16 * 8e9);
}

TEST_CASE("Cores together have more than one of them, and no cores nothing") {
  CHECK(measure_peak_flops({}, 0.01) == 0);
  const auto& cores = Machine::here().cores();
  if (cores.size() < 2) return;
  // Both rates are the best of many pieces, so a busy machine does not make two cores as slow as one.
  CHECK(measure_peak_flops({cores[0], cores[1]}, 0.03) > 0.7 * measure_peak_flops({cores[0]}, 0.03));
}

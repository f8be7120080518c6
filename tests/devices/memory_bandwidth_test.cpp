#include "devices/memory_bandwidth.h"

#include <doctest/doctest.h>

#include "devices/machine.h"

using namespace lenet_flow;

TEST_CASE("A memory is as fast as memories are, and no cores read nothing") {
  const MemoryBandwidth one = measure_memory_bandwidth({Machine::here().cores().front()});
  for (const double rate : {one.copy, one.triad}) {
    CHECK(rate > 1e8);  // also under sanitizers, on a busy machine
    CHECK(rate < 2e12);
  }
  CHECK(measure_memory_bandwidth({}).copy == 0);
}

TEST_CASE("Cores together are not much slower than one of them") {
  const auto& cores = Machine::here().cores();
  if (cores.size() < 2) return;
  CHECK(measure_memory_bandwidth({cores[0], cores[1]}).triad > 0.4 * measure_memory_bandwidth({cores[0]}).triad);
}

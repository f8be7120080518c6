#include <doctest/doctest.h>

#include "devices/measures.h"

using namespace lenet_flow;

// Under the emulation of CUDA: that the calls are right, not how fast anything is.

namespace {

Gpu emulated_gpu(int index) {
  Gpu gpu;
  gpu.index = index;
  gpu.multiprocessors = 1;
  return gpu;
}

/// Little work.
constexpr MeasureEffort small{
    .largest_copy = 16384, .copied_bytes = 4096, .flop_rounds = 2, .launches = 3, .repeats = 1};

}  // namespace

TEST_CASE("a GPU's own measures are numbers above 0, and a launch is over after its call") {
  const GpuMeasure gpu = measure_gpu(emulated_gpu(0), small);
  CHECK(gpu.gpu == 0);
  CHECK(gpu.flops > 0);
  CHECK(gpu.copy_bytes_per_second > 0);
  CHECK(gpu.launch_seconds > 0);
  CHECK(gpu.launch_to_done_seconds >= gpu.launch_seconds);
  CHECK(gpu.graph_launch_seconds > 0);
  CHECK(gpu.graph_to_done_seconds >= gpu.graph_launch_seconds);
}

TEST_CASE("the links of a GPU with host memory: both directions, by size") {
  const auto links = measure_host_links(emulated_gpu(0), small);
  REQUIRE(links.size() == 2);
  CHECK(links[0].from == "cpu");
  CHECK(links[0].to == "gpu0");
  CHECK(links[1].from == "gpu0");
  CHECK(links[1].to == "cpu");
  for (const LinkMeasure& link : links) {
    CHECK(link.way == "pinned host memory");
    CHECK(link.latency_seconds > 0);
    CHECK(link.both_bytes_per_second > 0);
    REQUIRE(link.rates.size() == 2);
    CHECK(link.rates[0].bytes == 4096);
    CHECK(link.rates[1].bytes == 16384);
    for (const SizedRate& rate : link.rates) CHECK(rate.bytes_per_second > 0);
  }
}

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "engine/pipeline/run_error.h"
#include "tests/cuda_emulation/emulation.h"
#include "tests/engine/pipeline/rig.h"

using namespace lenet_flow;
using namespace lenet_flow::test;

namespace {

const std::string graph =
    graph_text(R"("g": {"kind": "cuda", "index": 0}, "c": {"kind": "cpu", "cores": 1})",
               R"({"name": "conv", "type": "conv2d", "out_channels": 3, "kernel": 3, "device": "g"},
       {"name": "flat", "type": "flatten", "device": "c"},
       {"name": "fc", "type": "dense", "out_features": 4, "device": "c"})",
               R"("micro_batch": 2, "schedule": "1f1b")");

/// Emulated GPUs whose streams run in an order of chance, for the time of a test.
struct DeferredGpus {
  explicit DeferredGpus(int seed = 1) {
    cuda_emulation::reset();
    cuda_emulation::set_order(cuda_emulation::Order::deferred);
    cuda_emulation::set_seed(static_cast<std::uint64_t>(seed));
  }
  ~DeferredGpus() { cuda_emulation::reset(); }
};

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

/// What a run throws after `break_it` was called between its first pass and its second; it must not take long.
template <typename Break>
std::string failure_after(Break&& break_it) {
  const Rig rig(graph);
  const auto pipeline = rig.pipeline(rig.options());
  pipeline->run(rig.request(40));
  break_it();
  const auto begin = std::chrono::steady_clock::now();
  std::string message;
  try {
    pipeline->run(rig.request(40));
  } catch (const RunError& error) {
    message = error.what();
  }
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(10));
  return message;
}

}  // namespace

TEST_CASE("a kernel that fails ends the run, and is named with stage, device, action and micro-batch") {
  const DeferredGpus gpus;
  const std::string message = failure_after([] { cuda_emulation::fail_operation(0, 80, cudaErrorIllegalAddress); });
  INFO(message);
  // Whichever the GPU was at: an action, or a copy beside it.
  CHECK((has(message, "stage 'conv' on device 'g', ") || has(message, "device 'g', copying what stage '")));
  CHECK(has(message, " of micro-batch "));
  CHECK(has(message, "cudaErrorIllegalAddress"));
}

TEST_CASE("a launch that is refused ends the run") {
  const DeferredGpus gpus;
  const std::string message =
      failure_after([] { cuda_emulation::refuse_operation(0, 60, cudaErrorLaunchOutOfResources); });
  INFO(message);
  CHECK((has(message, "stage 'conv' on device 'g', ") || has(message, "device 'g', copying what stage '")));
  CHECK(has(message, "cudaErrorLaunchOutOfResources"));
}

TEST_CASE("memory that a GPU has not got: the stage, the bytes asked for and those that are free") {
  const DeferredGpus gpus;
  cuda_emulation::set_device_bytes(4096, 0);
  const Rig rig(graph);
  std::string message;
  try {
    rig.pipeline(rig.options());
  } catch (const InputError& error) {
    message = error.what();
  }
  INFO(message);
  CHECK(has(message, "stage 'conv' on device 'g' needs "));
  CHECK(has(message, "are free"));
}

TEST_CASE("nothing is allocated and nobody waits for the GPU after the first pass") {
  const DeferredGpus gpus;
  const Rig rig(graph);
  const auto pipeline = rig.pipeline(rig.options());
  pipeline->run(rig.request(40));
  pipeline->run(rig.request(40));
  const cuda_emulation::Counters before = cuda_emulation::counters();
  pipeline->run(rig.request(40));
  const cuda_emulation::Counters after = cuda_emulation::counters();
  CHECK(after.allocations == before.allocations);
  CHECK(after.synchronizations == before.synchronizations);
  CHECK(after.pageable_copies == before.pageable_copies);
}

/// Run by the next test case in a process of its own: the watchdog ends it.
TEST_CASE("hung child" * doctest::skip(std::getenv("LENET_FLOW_HUNG") == nullptr)) {
  const DeferredGpus gpus;
  const Rig rig(graph);
  PipelineOptions options = rig.options();
  options.watchdog_seconds = 2;
  const auto pipeline = rig.pipeline(options);
  pipeline->run(rig.request(40));
  cuda_emulation::hang_operation(0, 100);
  pipeline->run(rig.request(40));
}

TEST_CASE("a kernel that never ends: the watchdog ends the process and names it") {
  const std::string command =
      "LENET_FLOW_HUNG=1 /proc/" + std::to_string(getpid()) + "/exe --test-case='hung child' 2>&1";
  FILE* const child = popen(command.c_str(), "r");
  REQUIRE(child);
  std::string message;
  for (int c = std::fgetc(child); c != EOF; c = std::fgetc(child)) message += static_cast<char>(c);
  const int status = pclose(child);
  INFO(message);
  CHECK(WEXITSTATUS(status) == 1);
  CHECK(has(message, "nothing has moved for"));
  // Whichever was the hundredth operation: an action's kernel, or a copy beside it.
  const bool kernel = has(message, "stage 'conv' on device 'g' has not ended its ");
  const bool copy = has(message, "to or from device 'g' ha");
  CHECK((kernel || copy));
}

TEST_CASE("nothing can be injected into a GPU") {
  const DeferredGpus gpus;
  const Rig rig(graph);
  PipelineOptions options = rig.options();
  options.delays.devices["g"] = 2;
  CHECK_THROWS_AS(rig.pipeline(options), InputError);
}

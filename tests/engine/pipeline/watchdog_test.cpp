#include <doctest/doctest.h>

#include <chrono>
#include <string>

#include "engine/pipeline/run_error.h"
#include "tests/engine/pipeline/rig.h"

using namespace lenet_flow;
using namespace lenet_flow::test;

namespace {

const std::string graph =
    graph_text(R"("a": {"kind": "cpu", "cores": 1}, "b": {"kind": "cpu", "cores": 1})",
               R"({"name": "conv", "type": "conv2d", "out_channels": 3, "kernel": 3, "device": "a"},
       {"name": "flat", "type": "flatten", "device": "b"},
       {"name": "fc", "type": "dense", "out_features": 4, "device": "b"})",
               R"("micro_batch": 2)");

/// Loses one token and gives what the watchdog says.
std::string account_without(const Rig& rig, Cause cause, ActionKind kind, int stage, std::int64_t micro_batch) {
  PipelineOptions options = rig.options("1f1b");
  options.watchdog_seconds = 0.6;
  options.on_send = [=](const Token& token) {
    return !(token.cause == cause && token.kind == kind && token.stage == stage && token.micro_batch == micro_batch);
  };
  const auto pipeline = rig.pipeline(options);
  const auto begin = std::chrono::steady_clock::now();
  std::string message;
  try {
    pipeline->run(rig.request(40));
  } catch (const RunError& error) {
    message = error.what();
  }
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(3));
  return message;
}

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("a lost message ends the run, and is named with stage, link and micro-batch") {
  const Rig rig(graph);
  const std::string activations = account_without(rig, Cause::input, ActionKind::forward, 1, 5);
  CHECK(has(activations, "stage 'flat..fc' on device 'b' waits"));
  CHECK(has(activations, "activations of micro-batch 2 of batch 2 over link 'conv->flat..fc'"));

  const std::string gradients = account_without(rig, Cause::input, ActionKind::backward, 0, 6);
  CHECK(has(gradients, "stage 'conv' on device 'a' waits"));
  CHECK(has(gradients, "gradients of micro-batch 3 of batch 2 over link 'conv->flat..fc'"));

  const std::string pixels = account_without(rig, Cause::pixels, ActionKind::forward, 0, 4);
  CHECK(has(pixels, "images of micro-batch 1 of batch 2 from the reader"));

  const std::string credit = account_without(rig, Cause::credit, ActionKind::forward, 0, 7);
  CHECK(has(credit, "the credit of micro-batch 4 of batch 2"));

  const std::string room = account_without(rig, Cause::room, ActionKind::forward, 0, 8);
  CHECK(has(room, "room for micro-batch 1 of batch 3 in link 'conv->flat..fc'"));
}

TEST_CASE("a kernel that is slow but moves is no alarm") {
  const Rig rig(graph);
  PipelineOptions options = rig.options("1f1b");
  options.watchdog_seconds = 0.6;
  options.on_step = [](const StepFacts& step) {
    if (step.batch == 0 && step.what == "fc") std::this_thread::sleep_for(std::chrono::milliseconds(300));
  };
  CHECK(rig.pipeline(options)->run(rig.request(8)).images == 8);
}

TEST_CASE("an action that ends late, after the alarm, ends the run with an error that names it") {
  const Rig rig(graph);
  PipelineOptions options = rig.options("1f1b");
  options.watchdog_seconds = 0.6;
  options.on_step = [](const StepFacts& step) {
    if (step.batch == 1 && step.micro_batch == 1 && step.what == "fc" && step.kind == ActionKind::backward)
      std::this_thread::sleep_for(std::chrono::milliseconds(1500));
  };
  const auto pipeline = rig.pipeline(options);
  CHECK_THROWS_WITH_AS(pipeline->run(rig.request(40)),
                       doctest::Contains("stage 'flat..fc' on device 'b' has not ended its backward of micro-batch 2"),
                       RunError);
}

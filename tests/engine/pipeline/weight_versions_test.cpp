#include <doctest/doctest.h>

#include <map>
#include <mutex>

#include "tests/engine/pipeline/rig.h"

using namespace lenet_flow;
using namespace lenet_flow::test;

namespace {

std::string graph(int stages) {
  const auto device = [&](int part) { return std::string(1, static_cast<char>('a' + std::min(part, stages - 1))); };
  return graph_text(
      R"("a": {"kind": "cpu", "cores": 1}, "b": {"kind": "cpu", "cores": 1}, "c": {"kind": "cpu", "cores": 1})",
      R"({"name": "conv", "type": "conv2d", "out_channels": 3, "kernel": 3, "device": ")" + device(0) +
          R"("}, {"name": "flat", "type": "flatten", "device": ")" + device(0) +
          R"("}, {"name": "fc1", "type": "dense", "out_features": 9, "device": ")" + device(1) +
          R"("}, {"name": "tanh", "type": "tanh", "device": ")" + device(1) +
          R"("}, {"name": "fc2", "type": "dense", "out_features": 4, "device": ")" + device(2) + R"("})",
      R"("micro_batch": 2)");
}

PipelineOptions unflushed(const Rig& rig, WeightVersions kind) {
  PipelineOptions options = rig.options("1f1b");
  options.weight_versions = kind;
  return options;
}

}  // namespace

TEST_CASE("a backward reads the version of the parameters that its forward read, and versions differ between stages") {
  const Rig rig(graph(3), 80);
  for (const WeightVersions kind : {WeightVersions::stashing, WeightVersions::double_buffered}) {
    PipelineOptions options = unflushed(rig, kind);
    std::mutex mutex;
    std::map<std::tuple<int, std::int64_t, std::int64_t>, std::int64_t> forward;
    int backwards = 0, mismatches = 0, stale = 0, wrong_delay = 0;
    options.on_step = [&](const StepFacts& step) {
      const std::lock_guard lock(mutex);
      const std::tuple key{step.stage, step.batch, step.micro_batch};
      if (step.kind == ActionKind::forward) forward[key] = step.version;
      if (step.kind != ActionKind::backward) return;
      ++backwards;
      mismatches += forward.at(key) != step.version ? 1 : 0;
      stale += step.version < step.batch ? 1 : 0;
      wrong_delay += step.version != std::max<std::int64_t>(0, step.batch - 1) ? 1 : 0;
    };
    const auto pipeline = rig.pipeline(options);
    pipeline->run(rig.request(80));
    CHECK(backwards > 0);
    CHECK(mismatches == 0);
    CHECK(stale > 0);
    if (kind == WeightVersions::double_buffered) CHECK(wrong_delay == 0);
    const auto staleness = pipeline->staleness();
    REQUIRE(staleness.size() == 3);
    for (std::size_t stage = 0; stage < 3; ++stage) {
      std::int64_t updates = 0;
      for (const std::int64_t count : staleness[stage]) updates += count;
      CHECK(updates == 10);
    }
    if (kind == WeightVersions::stashing)
      CHECK(staleness[2] == std::vector<std::int64_t>{10});  // the last stage is never behind
    CHECK(staleness[0].size() == 2);
  }
}

TEST_CASE("one stage without flush does what it does with flush") {
  const Rig rig(graph(1), 40);
  CHECK(difference(rig.train(unflushed(rig, WeightVersions::stashing), 40, 2),
                   rig.train(rig.options("sequential"), 40, 2)) == "");
}

TEST_CASE("training without flush is the same from run to run, and learns") {
  const Rig rig(graph(3), 80);
  for (const WeightVersions kind : {WeightVersions::stashing, WeightVersions::double_buffered}) {
    const PipelineOptions options = unflushed(rig, kind);
    CHECK(difference(rig.train(options, 77, 2), rig.train(options, 77, 2)) == "");
    const auto pipeline = rig.pipeline(options);
    const double first = pipeline->run(rig.request(80)).loss_sum;
    double last = first;
    for (int pass = 0; pass < 10; ++pass) last = pipeline->run(rig.request(80)).loss_sum;
    CHECK(last < 0.7 * first);
  }
}

TEST_CASE("a schedule or a stage that cannot do without flush is refused") {
  const Rig rig(graph(3), 40);
  PipelineOptions options = rig.options("gpipe");
  options.weight_versions = WeightVersions::stashing;
  CHECK_THROWS_WITH_AS(rig.pipeline(options), doctest::Contains("only schedule '1f1b' runs without flush"), InputError);
}

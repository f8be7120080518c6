#include <doctest/doctest.h>

#include <cmath>
#include <string>

#include "tests/engine/schedule/schedule_cases.h"
#include "tests/engine/trace/virtual_pipeline.h"

using namespace lenet_flow;
using namespace lenet_flow::test;

namespace {

/// Equal stages on a device each, little that holds them up.
VirtualPipeline pipeline(int stages, int micro_batches, const std::string& schedule = "1f1b") {
  VirtualPipeline p;
  p.shape = schedule_cases::chain(stages, micro_batches);
  p.schedule = schedule_cases::generate(schedule, p.shape);
  p.limits = natural_limits(p.schedule, p.shape);
  p.batches = 5;
  p.stages.assign(static_cast<std::size_t>(stages), {30'000, 30'000, 30'000, 10});
  p.transfers.assign(p.shape.links.size(), 0);
  p.wake_ups.assign(static_cast<std::size_t>(stages), 100);
  p.core_groups.assign(static_cast<std::size_t>(stages), -1);
  return p;
}

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("a slow stage: named with how slow it is, and the layers to move") {
  VirtualPipeline p = pipeline(2, 8);
  // Steps "a" and "b" take a third and two thirds: of 4 : 2 loads, moving a third of the larger makes them 8/3 : 10/3.
  p.stages[1] = {60'000, 60'000, 60'000, 10};
  const Diagnosis diagnosis = run(p).diagnosis;
  INFO(diagnosis.line);
  REQUIRE(!diagnosis.causes.empty());
  CHECK(diagnosis.causes[0].kind == RootKind::stage);
  CHECK(diagnosis.causes[0].name == "stage 's1' on cpu1");
  CHECK(has(diagnosis.line, "stage 's0' on cpu0 is starved"));
  CHECK(has(diagnosis.line, "cause: stage 's1' on cpu1 computes 2.0x as long as the others"));
  CHECK(has(diagnosis.line, "moving a to cpu0 would balance the devices to within 25%"));
}

TEST_CASE("where one device alone would be faster the line says so, with the cost of a hand-over") {
  VirtualPipeline p = pipeline(2, 4);
  p.wake_ups = {200'000, 200'000};
  const Diagnosis diagnosis = run(p).diagnosis;
  INFO(diagnosis.line);
  CHECK(has(diagnosis.line, "pipelining does not pay here: one device alone would take 0."));
  CHECK(has(diagnosis.line, "a micro-batch computes for 180 us"));
}

TEST_CASE("the schedule is named where nothing else is, with one that would be shorter") {
  const Diagnosis diagnosis = run(pipeline(4, 8, "gpipe")).diagnosis;
  INFO(diagnosis.line);
  REQUIRE(!diagnosis.causes.empty());
  CHECK(diagnosis.causes[0].kind == RootKind::schedule);
  CHECK(has(diagnosis.line, "the schedule: 8 micro-batches a batch fill and drain 4 devices"));
  CHECK(has(diagnosis.line, "pipeline.schedule=zero_bubble_h2 would take "));
}

TEST_CASE("nothing stands out on one device; the host's part is what no device computes in") {
  VirtualPipeline p = pipeline(1, 4);
  const Diagnosis diagnosis = run(p).diagnosis;
  // 5 batches of 4 F and B and one update, 100 ns before each; the first image takes 100 ns to read.
  CHECK(std::llround(diagnosis.nobody_computes_seconds * 1e9) == 5 * 9 * 100 + 100);
  CHECK(has(diagnosis.line, "nothing stands out"));
}

TEST_CASE("other causes: what it is and what would help") {
  VirtualPipeline link = pipeline(3, 8);
  link.transfers[1] = 200'000;
  CHECK(has(run(link).diagnosis.line, "cause: link 's1->s2' takes 200 us a transfer"));
  VirtualPipeline reader = pipeline(3, 8);
  reader.read = 400'000;
  CHECK(has(run(reader).diagnosis.line, "cause: the reader needs 400 us a micro-batch on 2 threads"));
  VirtualPipeline update = pipeline(3, 8);
  for (auto& stage : update.stages) stage.update = 2'000'000;
  CHECK(has(run(update).diagnosis.line, "cause: the optimizer"));
  VirtualPipeline shared = pipeline(2, 8);
  shared.core_groups = {0, 0};
  CHECK(has(run(shared).diagnosis.line, "which is shared"));
}

TEST_CASE("a pass of which nothing whole was kept has no causes, and says so") {
  const VirtualPipeline p = pipeline(2, 4);
  const VirtualRun holes = run(p, 64, 1'000'000);
  CHECK(holes.lost > 0);
  CHECK((!holes.diagnosis.basis.empty() || has(holes.diagnosis.line, "nothing can be said of causes")));
}

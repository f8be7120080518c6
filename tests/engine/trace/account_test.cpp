#include "engine/trace/account.h"

#include <doctest/doctest.h>

#include <cmath>
#include <random>

#include "tests/engine/schedule/schedule_cases.h"
#include "tests/engine/trace/virtual_pipeline.h"

using namespace lenet_flow;
using namespace lenet_flow::test;

namespace {

/// One stage on one device whose actions are "a" and "b" steps.
TracedPipeline one_stage() {
  TracedPipeline pipeline;
  pipeline.devices = {"cpu0"};
  pipeline.stages = {"s0"};
  TracedPipeline::Unit unit;
  for (auto& steps : unit.steps) steps = {"a", "b"};
  pipeline.units = {unit};
  return pipeline;
}

/// A pass of one device, written event by event.
class Pass {
 public:
  explicit Pass(std::size_t ring = 64) : collector_(pipeline_, ring), account_(pipeline_) {
    collector_.add_sink(account_);
    collector_.begin_pass({.epoch = 1, .micro_batches = 100, .batches = 1, .per_batch = 100, .begin = 1000});
  }
  void write(EventType type, Nanoseconds time, int micro_batch, int detail = 0) {
    collector_.ring(0).write({time, micro_batch, 0, static_cast<std::int16_t>(detail), type, ActionKind::forward});
  }
  /// An action that is ready at once and takes 10 + 20 ns.
  void action(int micro_batch, Nanoseconds at) {
    write(EventType::order, at, micro_batch);
    write(EventType::ready, at, micro_batch);
    write(EventType::begin, at, micro_batch);
    write(EventType::step, at + 10, micro_batch, 0);
    write(EventType::step, at + 30, micro_batch, 1);
    write(EventType::end, at + 30, micro_batch);
  }
  const Account& end(Nanoseconds at) {
    collector_.end_pass(at);
    return account_;
  }
  Collector& collector() { return collector_; }

 private:
  TracedPipeline pipeline_ = one_stage();
  Collector collector_;
  Account account_;
};

std::int64_t nanoseconds(double seconds) { return std::llround(seconds * 1e9); }

VirtualPipeline small_pipeline() {
  VirtualPipeline p;
  p.shape = schedule_cases::chain(3, 4);
  p.schedule = schedule_cases::generate("1f1b", p.shape);
  p.limits = natural_limits(p.schedule, p.shape);
  p.batches = 20;
  p.stages = {{1000, 900, 800, 70}, {1100, 1000, 700, 60}, {900, 1000, 900, 50}};
  p.transfers = {30, 0};
  p.wake_ups = {5, 7, 9};
  p.core_groups = {-1, -1, -1};
  return p;
}

}  // namespace

TEST_CASE("histograms of durations: counts, means, quantiles within 3 %") {
  DurationHistogram histogram;
  CHECK(histogram.quantile_seconds(0.5) == 0);
  std::mt19937 random(7);
  std::vector<Nanoseconds> all;
  std::lognormal_distribution<double> draw(10, 2);
  for (int i = 0; i < 20'000; ++i) {
    all.push_back(static_cast<Nanoseconds>(draw(random)));
    histogram.add(all.back());
  }
  std::sort(all.begin(), all.end());
  CHECK(histogram.count() == all.size());
  CHECK(nanoseconds(histogram.max_seconds()) == all.back());
  for (const double share : {0.01, 0.5, 0.9, 0.99, 1.0}) {
    const auto exact = static_cast<double>(all[static_cast<std::size_t>(std::ceil(share * 20'000)) - 1]) * 1e-9;
    CAPTURE(share);
    CHECK(histogram.quantile_seconds(share) == doctest::Approx(exact).epsilon(0.032));
  }
  DurationHistogram small;
  for (const Nanoseconds duration : {0, 1, 2, 3, 31, 32}) small.add(duration);
  CHECK(nanoseconds(small.quantile_seconds(0.5)) == 2);
  CHECK(nanoseconds(small.total_seconds()) == 69);
}

TEST_CASE("an action is compute from begin to end; steps have their own times") {
  Pass pass;
  pass.action(0, 1100);
  pass.action(1, 1200);
  const Account& account = pass.end(1300);
  const StateSeconds& states = account.units()[0].seconds;
  CHECK(nanoseconds(states.compute) == 60);
  CHECK(nanoseconds(states.sum()) == 300);
  CHECK(account.units()[0].actions == 2);
  const auto steps = account.steps();
  REQUIRE(steps.size() == 2);
  CHECK(steps[0].step == "a");
  CHECK(nanoseconds(steps[0].durations.total_seconds()) == 20);
  CHECK(nanoseconds(steps[1].durations.total_seconds()) == 40);
}

TEST_CASE("a thread that dies in an action: its time is unaccounted, not compute") {
  Pass pass;
  pass.action(0, 1100);
  pass.write(EventType::order, 1130, 1);
  pass.write(EventType::ready, 1130, 1);
  pass.write(EventType::begin, 1140, 1);
  const Account& account = pass.end(2000);
  const StateSeconds& states = account.units()[0].seconds;
  CHECK(nanoseconds(states.compute) == 30);
  CHECK(nanoseconds(states.unaccounted) == 870);
  CHECK(nanoseconds(states.sum()) == 1000);
  CHECK(account.devices()[0].seconds.unaccounted == states.unaccounted);
}

TEST_CASE("events that are lost at the end of a pass leave it unaccounted") {
  Pass pass(8);
  pass.action(0, 1100);
  pass.action(1, 1200);
  pass.action(2, 1300);
  const Account& account = pass.end(2000);
  CHECK(account.lost() > 0);
  CHECK(nanoseconds(account.units()[0].seconds.compute) == 30);
  CHECK(nanoseconds(account.units()[0].seconds.unaccounted) > 0);
  CHECK(nanoseconds(account.units()[0].seconds.sum()) == 1000);
}

TEST_CASE("a clock that goes backward is counted, and the states still sum up") {
  Pass pass;
  pass.action(0, 1100);
  pass.action(1, 1050);
  const Account& account = pass.end(1300);
  CHECK(account.backward() > 0);
  CHECK(nanoseconds(account.units()[0].seconds.sum()) == 300);
}

TEST_CASE("rings that overflow: what is known is right, the rest is unaccounted, all sums up") {
  const VirtualPipeline pipeline = small_pipeline();
  const VirtualRun whole = run(pipeline);
  REQUIRE(whole.lost == 0);
  for (const int read_every : {20, 60, 1'000'000}) {
    CAPTURE(read_every);
    const VirtualRun holes = run(pipeline, 64, read_every);
    CHECK(holes.lost > 0);
    CHECK(holes.length == whole.length);
    double unaccounted = 0;
    for (std::size_t unit = 0; unit < holes.units.size(); ++unit) {
      CHECK(nanoseconds(holes.units[unit].sum()) == whole.length);
      CHECK(holes.units[unit].compute <= whole.units[unit].compute + 1e-12);
      unaccounted += holes.units[unit].unaccounted;
    }
    CHECK(unaccounted > 0);
  }
}

TEST_CASE("accounts of several passes: epochs apart, and together") {
  Pass pass;
  pass.action(0, 1100);
  pass.end(1300);
  pass.collector().begin_pass({.epoch = 2, .micro_batches = 1, .batches = 1, .per_batch = 1, .begin = 5000});
  pass.action(0, 5000);
  const Account& account = pass.end(5100);
  REQUIRE(account.epochs().size() == 2);
  CHECK(nanoseconds(account.epochs()[0].units[0].sum()) == 300);
  CHECK(nanoseconds(account.epochs()[1].units[0].sum()) == 100);
  CHECK(nanoseconds(account.epochs()[1].units[0].compute) == 30);
  CHECK(nanoseconds(account.units()[0].seconds.sum()) == 400);
  CHECK(nanoseconds(account.seconds()) == 400);
}

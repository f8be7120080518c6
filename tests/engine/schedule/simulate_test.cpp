// The simulator on cases small enough to be worked out by hand.

#include <doctest/doctest.h>

#include <stdexcept>

#include "tests/engine/schedule/schedule_cases.h"

using namespace lenet_flow;
using namespace lenet_flow::schedule_cases;
using enum ActionKind;

namespace {

/// "0F1@3-4 ..." of one device.
std::string timeline(const Simulation& simulation, std::size_t device) {
  std::string text;
  for (const TimedAction& timed : simulation.devices[device]) {
    if (!text.empty()) text += ' ';
    text += timed.action.text() + '@';
    text += std::to_string(static_cast<int>(timed.start)) + '-';
    text += std::to_string(static_cast<int>(timed.end));
  }
  return text;
}

}  // namespace

TEST_CASE("Times by hand: two stages, transfers, an update that takes time") {
  const ScheduleShape shape = chain(2, 2);
  ActionCosts costs = ActionCosts::equal(shape);
  costs.stages[0] = {2, 1, 1, 5};
  costs.transfers = {3};
  const Simulation simulation = simulate(generate("gpipe", shape), shape, costs, unbounded());
  CHECK(timeline(simulation, 0) == "0F0@0-2 0F1@2-4 0B0@13-15 0B1@15-17 0U@17-22");
  CHECK(timeline(simulation, 1) == "1F0@5-6 1F1@7-8 1B0@8-10 1B1@10-12 1U@12-12");
  CHECK(simulation.length == 22);
  CHECK(simulation.device_busy == std::vector<double>({13, 6}));
  CHECK(simulation.stage_busy == std::vector<double>({13, 6}));
  CHECK(simulation.device_bubble[0] == doctest::Approx(9.0 / 22));
  CHECK(simulation.bubble == doctest::Approx(1 - 19.0 / 44));
}

TEST_CASE("Transfers on one device take no time, and devices without a stage do not count") {
  ScheduleShape shape = chain(2, 1);
  shape.devices = 3;
  shape.devices_of_stage = {{1}, {1}};
  ActionCosts costs = ActionCosts::equal(shape);
  costs.transfers = {100};
  const Simulation simulation = simulate(generate("sequential", shape), shape, costs, unbounded());
  CHECK(simulation.length == 6);
  CHECK(simulation.bubble == 0);
}

TEST_CASE("A batch begins behind the update of the one before, stage by stage") {
  const ScheduleShape shape = chain(2, 1);
  const Simulation simulation = play_equal(generate("gpipe", shape), shape, 2);
  CHECK(timeline(simulation, 0) == "0F0@0-1 0B0@4-6 0U@6-6 0F0@6-7 0B0@10-12 0U@12-12");
  CHECK(timeline(simulation, 1) == "1F0@1-2 1B0@2-4 1U@4-4 1F0@7-8 1B0@8-10 1U@10-10");
  CHECK(simulation.devices[0][3].batch == 1);
}

TEST_CASE("Bounds delay: in flight, link, slots") {
  const ScheduleShape shape = chain(2, 4);
  const ActionCosts costs = ActionCosts::equal(shape);
  const Schedule schedule = generate("1f1b", shape);
  CHECK(simulate(schedule, shape, costs, {2, 2, {}}).length == 15);
  // With one in flight the two stages take turns: six units a micro-batch.
  CHECK(simulate(generate("sequential", shape), shape, costs, {1, 1, {}}).length == 24);
  ScheduleLimits narrow{4, 4, {{2, 1, 1}, {1, 1, 1}}};
  // 0F1 waits until stage 1 has read all of micro-batch 0, which 0B0 wants behind it: a deadlock would be named.
  CHECK_THROWS_WITH_AS(simulate(schedule, shape, costs, {1, 4, {}}),
                       "simulate: deadlock: 0F1 waits for 0B0 (in flight 1), which stands behind 0F1",
                       std::logic_error);
  CHECK(simulate(schedule, shape, costs, narrow).length > 15);
}

TEST_CASE("Replicas share the micro-batches and one update waits for all") {
  ScheduleShape shape = chain(1, 5);
  shape.devices = 2;
  shape.devices_of_stage = {{1, 0}};
  const Simulation simulation = play_equal(generate("gpipe", shape), shape);
  CHECK(timeline(simulation, 1) == "0F0@0-1 0F2@1-2 0F4@2-3 0B0@3-5 0B2@5-7 0B4@7-9 0U@9-9");
  CHECK(timeline(simulation, 0) == "0F1@0-1 0F3@1-2 0B1@2-4 0B3@4-6");
  CHECK(simulation.peak_slots[0].activations == 3);
  CHECK(simulation.peak_in_flight == 5);
}

TEST_CASE("Slots: with those that a simulation filled nothing waits, with one fewer something does") {
  std::mt19937 random(5);
  int tighter = 0;
  for (int number = 0; number < 150; ++number) {
    const ScheduleShape shape = random_shape(random);
    const ActionCosts costs = random_costs(shape, random);
    CAPTURE(describe(shape));
    for (const std::string name : {"1f1b", "zero_bubble_h2"}) {
      const Schedule schedule = generate(name, shape);
      const ScheduleLimits limits = natural_limits(schedule, shape, 0, 0, costs);
      const double free = simulate(schedule, shape, costs, unbounded(), 3).length;
      CHECK(simulate(schedule, shape, costs, limits, 3).length == doctest::Approx(free));
      for (std::size_t stage = 0; stage < limits.slots.size(); ++stage) {
        if (limits.slots[stage].activations == 1) continue;
        ScheduleLimits less = limits;
        --less.slots[stage].activations;
        // An order that needs them all cannot do with fewer: activations live as long as the list says.
        if (costs.stages[stage].forward == 0) continue;
        CHECK_FALSE(check_schedule(schedule, shape, less).empty());
        ++tighter;
      }
    }
  }
  CHECK(tighter > 100);
}

TEST_CASE("Natural bounds keep what the user asked for") {
  const ScheduleShape shape = chain(4, 8);
  const Schedule schedule = generate("1f1b", shape);
  CHECK(natural_limits(schedule, shape).in_flight == 4);
  CHECK(natural_limits(schedule, shape).link_capacity == 4);
  CHECK(natural_limits(schedule, shape, 6).in_flight == 6);
  CHECK(natural_limits(schedule, shape, 0, 2).link_capacity == 2);
  const ScheduleLimits too_few = natural_limits(schedule, shape, 3);
  CHECK(too_few.in_flight == 3);
  CHECK(check_schedule(schedule, shape, too_few).front().find("in flight 3") != std::string::npos);
}

// The checker: what it says of one wrong schedule each, and of mutants against an independent reference.

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <stdexcept>

#include "tests/engine/schedule/reference_check.h"
#include "tests/engine/schedule/schedule_cases.h"

using namespace lenet_flow;
using namespace lenet_flow::schedule_cases;
using enum ActionKind;

namespace {

using Lines = std::vector<std::string>;

int below(int bound, std::mt19937& random) { return std::uniform_int_distribution<int>(0, bound - 1)(random); }

/// Changes one thing in a schedule; returns what.
std::string mutate(Schedule& schedule, const ScheduleShape& shape, std::mt19937& random) {
  std::vector<std::size_t> used;
  for (std::size_t device = 0; device < schedule.size(); ++device)
    if (!schedule[device].empty()) used.push_back(device);
  auto& list = schedule[used[static_cast<std::size_t>(below(static_cast<int>(used.size()), random))]];
  const auto any = [&] { return list.begin() + below(static_cast<int>(list.size()), random); };
  switch (below(6, random)) {
    case 0: list.erase(any()); return "drop";
    case 1: {
      const Action copy = *any();
      list.insert(any(), copy);
      return "duplicate";
    }
    case 2: std::iter_swap(any(), any()); return "swap";
    case 3: {
      const auto first = any();
      if (first + 1 != list.end()) std::iter_swap(first, first + 1);
      return "swap neighbours";
    }
    case 4: any()->micro_batch = below(shape.micro_batches + 1, random); return "wrong micro-batch";
    default: {
      const auto moved = any();
      auto& other = schedule[static_cast<std::size_t>(below(shape.devices, random))];
      const Action action = *moved;
      list.erase(moved);
      other.insert(other.begin() + below(static_cast<int>(other.size()) + 1, random), action);
      return "wrong device or place";
    }
  }
}

/// Bounds by chance, some too narrow.
ScheduleLimits random_limits(const ScheduleShape& shape, std::mt19937& random) {
  ScheduleLimits limits{1 + below(6, random), 1 + below(4, random), {}};
  if (below(2, random) == 0) limits.in_flight = limits.link_capacity = 12;
  if (below(2, random) == 0)
    for (int stage = 0; stage < shape.stages(); ++stage)
      limits.slots.push_back({1 + below(8, random), 1 + below(8, random), 1 + below(8, random)});
  return limits;
}

}  // namespace

TEST_CASE("Each mutant is refused, or still right by an independent reference") {
  constexpr unsigned seed = 4711;
  MESSAGE("seed " << seed);
  std::mt19937 random(seed);
  int refused = 0, still_right = 0;
  for (int number = 0; number < 3000; ++number) {
    ScheduleShape shape = number % 3 == 2 ? random_folded_shape(random) : random_shape(random);
    shape.micro_batches = std::min(shape.micro_batches, 6);
    shape.training = number % 11 != 10;
    const auto& types = schedule_types();
    const ScheduleType& type = types[static_cast<std::size_t>(below(static_cast<int>(types.size()), random))];
    if (type.name == "auto" || !type.misfit(shape).empty()) continue;
    Schedule schedule = generate(type.name, shape);
    const ScheduleLimits limits = number % 2 == 0 ? natural_limits(schedule, shape) : random_limits(shape, random);
    const std::string what = number % 8 == 7 ? "nothing" : mutate(schedule, shape, random);
    const std::vector<std::string> problems = check_schedule(schedule, shape, limits);
    CAPTURE(number);
    CAPTURE(type.name);
    CAPTURE(what);
    CAPTURE(describe(shape));
    CAPTURE((problems.empty() ? std::string("accepted") : problems.front()));
    REQUIRE(problems.empty() == valid_by_reference(schedule, shape, limits));
    ++(problems.empty() ? still_right : refused);
    if (!problems.empty())
      CHECK_THROWS_AS(simulate(schedule, shape, ActionCosts::equal(shape), limits), std::logic_error);
  }
  MESSAGE(refused << " refused, " << still_right << " still right");
  CHECK(refused > 800);
  CHECK(still_right > 300);
}

TEST_CASE("A wrong action is named") {
  const ScheduleShape shape = chain(2, 2);
  const ScheduleLimits limits{2, 2, {}};
  const Schedule right = generate("gpipe", shape);
  REQUIRE(check_schedule(right, shape, limits).empty());
  const auto problems = [&](auto&& change) {
    Schedule wrong = right;
    change(wrong);
    return check_schedule(wrong, shape, limits);
  };
  CHECK(problems([](Schedule& s) { s.pop_back(); }) == Lines{"the schedule has 1 lists, one a device would be 2"});
  CHECK(problems([](Schedule& s) { s[0].erase(s[0].begin()); }) == Lines{"0F0 is missing"});
  CHECK(problems([](Schedule& s) { s[0].erase(s[0].begin() + 2); }) == Lines{"0B0 is missing (or 0I0 and 0W0)"});
  CHECK(problems([](Schedule& s) { s[0].pop_back(); }) == Lines{"0U is missing"});
  CHECK(problems([](Schedule& s) { s[1].push_back({1, forward, 1}); }) == Lines{"1F1 stands there twice"});
  CHECK(problems([](Schedule& s) { s[1].push_back({1, forward, 2}); }) == Lines{"1F2: there is no such action"});
  CHECK(problems([](Schedule& s) { s[1].push_back({-1, forward, 0}); }) == Lines{"-1F0: there is no such action"});
  CHECK(problems([](Schedule& s) { s[1].push_back({1, update, 1}); }).size() == 1);
  CHECK(problems([](Schedule& s) {
          s[0].erase(s[0].begin());
          s[1].insert(s[1].begin(), {0, forward, 0});
        }) == Lines{"0F0 stands in the list of device 1, it runs on device 0"});
  CHECK(problems([](Schedule& s) {
          s[0].insert(s[0].begin() + 2, {0, input_gradients, 0});
        }) == Lines{"0B0 and 0I0: a micro-batch has either B, or I and W"});
  CHECK(problems([](Schedule& s) { s[0][2].kind = input_gradients; }) == Lines{"0W0 is missing"});
  CHECK(problems([](Schedule& s) { s[0][2].kind = parameter_gradients; }) == Lines{"0I0 is missing"});
}

TEST_CASE("Some micro-batches of a stage may have B and others I and W") {
  const ScheduleShape shape = chain(1, 2);
  const Schedule mixed{{{0, forward, 0},
                        {0, backward, 0},
                        {0, forward, 1},
                        {0, input_gradients, 1},
                        {0, parameter_gradients, 1},
                        {0, update, 0}}};
  CHECK(check_schedule(mixed, shape, {1, 1, {}}) == Lines{});
}

TEST_CASE("A deadlock is named as a cycle") {
  const ScheduleShape shape = chain(2, 3);
  const auto deadlock = [&](const std::string& name, const ScheduleLimits& limits) {
    return check_schedule(generate(name, shape), shape, limits);
  };
  CHECK(deadlock("gpipe", {2, 9, {}}) == Lines{"deadlock: 0F2 waits for 0B0 (in flight 2), which stands behind 0F2"});
  CHECK(deadlock("gpipe", {9, 9, {{9, 9, 9}, {2, 9, 9}}}) ==
        Lines{"deadlock: 1F2 waits for 1B0 (activation slots 2), which stands behind 1F2"});
  CHECK(deadlock("gpipe", {9, 9, {{9, 1, 9}, {9, 9, 9}}}) ==
        Lines{"deadlock: 0F1 waits for 1B0 (output slots 1), which stands behind 1F1, which waits for 0F1"});
  CHECK(deadlock("zero_bubble_h1", {9, 9, {{9, 9, 9}, {9, 9, 1}}}).empty());
  CHECK(deadlock("1f1b", {9, 1, {}}).empty());

  Schedule crossed{{{0, forward, 1}, {0, forward, 0}, {0, backward, 0}, {0, backward, 1}, {0, update, 0}},
                   {{1, forward, 0}, {1, backward, 0}, {1, forward, 1}, {1, backward, 1}, {1, update, 0}}};
  const ScheduleShape two = chain(2, 2);
  CHECK(check_schedule(crossed, two, unbounded()).empty());
  CHECK(check_schedule(crossed, two, {2, 1, {}}) ==
        Lines{"deadlock: 0F1 waits for 1F0 (link capacity 1), which waits for 0F0, which stands behind 0F1"});
  std::swap(crossed[0][2], crossed[0][3]);  // 0B1 before 0B0, while 1B1 comes after 1B0: slow, but right
  CHECK(check_schedule(crossed, two, unbounded()).empty());
  std::swap(crossed[1][0], crossed[1][1]);
  CHECK(check_schedule(crossed, two, unbounded()) == Lines{"deadlock: 1B0 waits for 1F0, which stands behind 1B0"});
}

TEST_CASE("Bounds under one are refused") {
  const ScheduleShape shape = chain(1, 1);
  const Schedule schedule = generate("gpipe", shape);
  CHECK(check_schedule(schedule, shape, {0, 1, {}}) == Lines{"in flight must be at least 1"});
  CHECK(check_schedule(schedule, shape, {1, -1, {}}) == Lines{"link capacity must be at least 1"});
  CHECK(check_schedule(schedule, shape, {1, 1, {{1, 0, 1}}}).size() == 1);
  CHECK(check_schedule(schedule, shape, {1, 1, {{}, {}}}).size() == 1);
}

TEST_CASE("Memory is checked device by device") {
  const ScheduleShape shape = chain(3, 8);
  const MemoryLimits memory{{10, 20, 30}, {1, 2, 3}, {41, 42, 30}};
  const Schedule schedule = generate("1f1b", shape);
  CHECK(peak_bytes(schedule, shape, memory) == std::vector<double>({31, 42, 33}));
  CHECK(check_memory(schedule, shape, memory) == Lines{"device 2 needs 33 bytes, it has 30"});
  CHECK(check_memory(schedule, shape, {}).empty());
  const Simulation simulation = simulate(schedule, shape, ActionCosts::equal(shape), unbounded(), 3, memory);
  CHECK(simulation.device_peak_bytes == std::vector<double>({31, 42, 33}));
  CHECK(simulate(schedule, shape, ActionCosts::equal(shape), unbounded()).device_peak_bytes.empty());
}

TEST_CASE("W out of turn are counted") {
  const ScheduleShape shape = chain(1, 4);
  const auto order = [](std::vector<int> micro_batches) {
    Schedule schedule(1);
    for (const int i : micro_batches) schedule[0].push_back({0, parameter_gradients, i});
    return schedule;
  };
  CHECK(gradients_held_back(order({0, 1, 2, 3}), shape, 0) == 0);
  CHECK(gradients_held_back(order({1, 0, 3, 2}), shape, 0) == 1);
  CHECK(gradients_held_back(order({3, 2, 1, 0}), shape, 0) == 3);
  ScheduleShape replicas = shape;
  replicas.devices = 2;
  replicas.devices_of_stage = {{0, 1}};
  CHECK(gradients_held_back(generate("gpipe", replicas), replicas, 0) == 4);
}

TEST_CASE("Checking 64 micro-batches on 16 devices takes milliseconds") {
  const ScheduleShape shape = chain(16, 64);
  const Schedule schedule = generate("zero_bubble_h2", shape);
  const ScheduleLimits limits = natural_limits(schedule, shape);
  const auto start = std::chrono::steady_clock::now();
  CHECK(check_schedule(schedule, shape, limits).empty());
  const std::chrono::duration<double, std::milli> taken = std::chrono::steady_clock::now() - start;
  MESSAGE(taken.count() << " ms");
  CHECK(taken.count() < 200);  // 0.1 ms in a release build; sanitizers and busy machines take longer
}

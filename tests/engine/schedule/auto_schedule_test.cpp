// `auto` against every schedule with a name, in the simulator.

#include <doctest/doctest.h>

#include <limits>

#include <algorithm>

#include "tests/engine/schedule/schedule_cases.h"

using namespace lenet_flow;
using namespace lenet_flow::schedule_cases;

namespace {

double length(const Schedule& schedule, const ScheduleRequest& request) {
  return simulate(schedule, request.shape, request.costs, unbounded()).length;
}

/// The shortest batch of the named schedules that fit placement and memory; infinite where none does.
double best_named(const ScheduleRequest& request, bool& any_fits) {
  double best = std::numeric_limits<double>::infinity();
  any_fits = false;
  for (const ScheduleType& type : schedule_types()) {
    if (type.name == "auto" || !type.misfit(request.shape).empty()) continue;
    const Schedule schedule = type.generate(request);
    if (!check_memory(schedule, request.shape, request.memory).empty()) continue;
    any_fits = true;
    best = std::min(best, length(schedule, request));
  }
  return best;
}

}  // namespace

TEST_CASE("auto is never slower than the best of the others and keeps to the memory") {
  constexpr unsigned seed = 977;
  MESSAGE("seed " << seed);
  std::mt19937 random(seed);
  int faster = 0, bounded = 0;
  for (int number = 0; number < 200; ++number) {
    const ScheduleShape shape = number % 3 == 2 ? random_folded_shape(random) : random_shape(random);
    ScheduleRequest request{shape, random_costs(shape, random), {}};
    if (number % 2 == 1) {  // from room for one micro-batch at each stage of a device to room for twelve
      std::uniform_int_distribution<int> size(1, 9), room(1, 12);
      request.memory.device_bytes.assign(static_cast<std::size_t>(shape.devices), 0.0);
      const int times = room(random);
      for (const auto& devices : shape.devices_of_stage) {
        request.memory.micro_batch_bytes.push_back(size(random));
        request.memory.fixed_bytes.push_back(size(random));
        for (const int device : devices)
          request.memory.device_bytes[static_cast<std::size_t>(device)] +=
              request.memory.fixed_bytes.back() + times * request.memory.micro_batch_bytes.back();
      }
      ++bounded;
    }
    CAPTURE(number);
    CAPTURE(describe(shape));
    const Schedule schedule = find_schedule_type("auto")->generate(request);
    REQUIRE(check_schedule(schedule, shape, natural_limits(schedule, shape)) == std::vector<std::string>{});
    CHECK(check_memory(schedule, shape, request.memory) == std::vector<std::string>{});
    bool any_fits = false;
    const double named = best_named(request, any_fits), found = length(schedule, request);
    CHECK(any_fits);
    CHECK(found <= named * (1 + 1e-9));
    // Under bounds made for its costs, it runs as fast.
    const ScheduleLimits limits = natural_limits(schedule, shape, 0, 0, request.costs);
    CHECK(simulate(schedule, shape, request.costs, limits).length == doctest::Approx(found));
    faster += found < named * (1 - 1e-9);
  }
  MESSAGE("faster than the best of the others in " << faster << " of 200, " << bounded << " with a memory limit");
  CHECK(faster > 40);
}

TEST_CASE("auto fills what transfers leave idle") {
  // Two stages far apart: 1F1B waits for every gradient, more micro-batches in flight do not.
  const ScheduleShape shape = chain(2, 12);
  ScheduleRequest request{shape, ActionCosts::equal(shape), {}};
  request.costs.transfers = {3};
  const double found = length(find_schedule_type("auto")->generate(request), request);
  CHECK(found < length(generate("1f1b", shape), request));
  // No schedule is shorter than the work of stage 0, which begins at once and ends last, or than that of stage 1 and
  // the way there and back.
  CHECK(found >= 36);
  CHECK(found <= 1 + 3 + 36 + 0.5 * 3);
}

TEST_CASE("auto says nothing fits by giving what needs least") {
  const ScheduleShape shape = chain(3, 6);
  const ScheduleRequest request{shape, ActionCosts::equal(shape), {{5, 5, 5}, {}, {4, 4, 4}}};
  const Schedule schedule = find_schedule_type("auto")->generate(request);
  CHECK(check_memory(schedule, shape, request.memory).size() == 3);
  CHECK(peak_bytes(schedule, shape, request.memory) == std::vector<double>{5, 5, 5});
}

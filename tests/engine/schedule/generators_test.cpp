// Every schedule against its paper: the order of its actions, its bubble, what it holds; and over generated cases.

#include <doctest/doctest.h>

#include <algorithm>

#include "tests/engine/schedule/schedule_cases.h"

using namespace lenet_flow;
using namespace lenet_flow::schedule_cases;

namespace {

std::vector<std::string> lines(const Schedule& schedule) {
  std::vector<std::string> texts;
  for (const auto& list : schedule) texts.push_back(schedule_text(list));
  return texts;
}

/// The shape that a schedule's formula is for, with p devices.
ScheduleShape shape_for(const std::string& name, int devices, int micro_batches) {
  if (name == "interleaved_1f1b") return looped_chain(devices, 2, micro_batches);
  if (name == "zb_v" || name == "dualpipe_v") return v_chain(devices, micro_batches);
  return chain(devices, micro_batches);
}

}  // namespace

TEST_CASE("Lists for four stages and eight micro-batches are the papers'") {
  // Huang et al., figure 2c.
  CHECK(lines(generate("gpipe", chain(4, 8))) ==
        std::vector<std::string>{"0F0,0F1,0F2,0F3,0F4,0F5,0F6,0F7,0B0,0B1,0B2,0B3,0B4,0B5,0B6,0B7,0U",
                                 "1F0,1F1,1F2,1F3,1F4,1F5,1F6,1F7,1B0,1B1,1B2,1B3,1B4,1B5,1B6,1B7,1U",
                                 "2F0,2F1,2F2,2F3,2F4,2F5,2F6,2F7,2B0,2B1,2B2,2B3,2B4,2B5,2B6,2B7,2U",
                                 "3F0,3F1,3F2,3F3,3F4,3F5,3F6,3F7,3B0,3B1,3B2,3B3,3B4,3B5,3B6,3B7,3U"});
  // Narayanan et al., SC 2021, figure 4, top.
  CHECK(lines(generate("1f1b", chain(4, 8))) ==
        std::vector<std::string>{"0F0,0F1,0F2,0F3,0B0,0F4,0B1,0F5,0B2,0F6,0B3,0F7,0B4,0B5,0B6,0B7,0U",
                                 "1F0,1F1,1F2,1B0,1F3,1B1,1F4,1B2,1F5,1B3,1F6,1B4,1F7,1B5,1B6,1B7,1U",
                                 "2F0,2F1,2B0,2F2,2B1,2F3,2B2,2F4,2B3,2F5,2B4,2F6,2B5,2F7,2B6,2B7,2U",
                                 "3F0,3B0,3F1,3B1,3F2,3B2,3F3,3B3,3F4,3B4,3F5,3B5,3F6,3B6,3F7,3B7,3U"});
  // The same figure, bottom: chunks of four micro-batches, two stages a device.
  CHECK(lines(generate("interleaved_1f1b", looped_chain(4, 2, 8))) ==
        std::vector<std::string>{"0F0,0F1,0F2,0F3,4F0,4F1,4F2,4F3,0F4,0F5,0F6,4B0,0F7,4B1,4F4,4B2,4F5,4B3,4F6,0B0,4F7,"
                                 "0B1,0B2,0B3,4B4,4B5,4B6,4B7,4U,0B4,0B5,0B6,0B7,0U",
                                 "1F0,1F1,1F2,1F3,5F0,5F1,5F2,5F3,1F4,5B0,1F5,5B1,1F6,5B2,1F7,5B3,5F4,1B0,5F5,1B1,5F6,"
                                 "1B2,5F7,1B3,5B4,5B5,5B6,5B7,5U,1B4,1B5,1B6,1B7,1U",
                                 "2F0,2F1,2F2,2F3,6F0,6F1,6F2,6B0,6F3,6B1,2F4,6B2,2F5,6B3,2F6,2B0,2F7,2B1,6F4,2B2,6F5,"
                                 "2B3,6F6,6B4,6F7,6B5,6B6,6B7,6U,2B4,2B5,2B6,2B7,2U",
                                 "3F0,3F1,3F2,3F3,7F0,7B0,7F1,7B1,7F2,7B2,7F3,7B3,3F4,3B0,3F5,3B1,3F6,3B2,3F7,3B3,7F4,"
                                 "7B4,7F5,7B5,7F6,7B6,7F7,7B7,7U,3B4,3B5,3B6,3B7,3U"});
  // Qi et al., ICLR 2024, figure 2: a warm-up of p - i F, then I, W, F in turn, W of stage i held back by i.
  CHECK(lines(generate("zero_bubble_h1", chain(4, 8))) ==
        std::vector<std::string>{
            "0F0,0F1,0F2,0F3,0I0,0W0,0F4,0I1,0W1,0F5,0I2,0W2,0F6,0I3,0W3,0F7,0I4,0W4,0I5,0W5,0I6,0W6,0I7,0W7,0U",
            "1F0,1F1,1F2,1I0,1F3,1I1,1W0,1F4,1I2,1W1,1F5,1I3,1W2,1F6,1I4,1W3,1F7,1I5,1W4,1I6,1W5,1I7,1W6,1W7,1U",
            "2F0,2F1,2I0,2F2,2I1,2F3,2I2,2W0,2F4,2I3,2W1,2F5,2I4,2W2,2F6,2I5,2W3,2F7,2I6,2W4,2I7,2W5,2W6,2W7,2U",
            "3F0,3I0,3F1,3I1,3F2,3I2,3F3,3I3,3W0,3F4,3I4,3W1,3F5,3I5,3W2,3F6,3I6,3W3,3F7,3I7,3W4,3W5,3W6,3W7,3U"});
  // Figure 3: 2 (p - i) - 1 F before the first I.
  const std::vector<std::string> h2 = lines(generate("zero_bubble_h2", chain(4, 8)));
  const std::vector<std::string> h2_begins{"0F0,0F1,0F2,0F3,0F4,0F5,0F6,0I0,0W0,0F7,0I1,",
                                           "1F0,1F1,1F2,1F3,1F4,1I0,1F5,1I1,1F6,1I2,1W0,1F7,1I3,",
                                           "2F0,2F1,2F2,2I0,2F3,2I1,2F4,2I2,2F5,2I3,2F6,2I4,2W0,2F7,2I5,",
                                           "3F0,3I0,3F1,3I1,3F2,3I2,3F3,3I3,3F4,3I4,3F5,3I5,3F6,3I6,3W0,3F7,3I7,3W1,"};
  for (std::size_t stage = 0; stage < 4; ++stage) CHECK(h2[stage].starts_with(h2_begins[stage]));
  CHECK(lines(generate("sequential", chain(2, 2))) ==
        std::vector<std::string>{"0F0,0B0,0F1,0B1,0U", "1F0,1B0,1F1,1B1,1U"});
}

TEST_CASE("Lists of the V schedules are PyTorch's") {
  // ScheduleZBVZeroBubble and ScheduleDualPipeV of torch.distributed.pipelining 2.13 for two ranks, updates added.
  CHECK(
      lines(generate("zb_v", v_chain(2, 4))) ==
      std::vector<std::string>{"0F0,0F1,0F2,3F0,3I0,3W0,3F1,3I1,3W1,0F3,0I0,0W0,3F2,3I2,3W2,0I1,0W1,3F3,3I3,3W3,3U,0I2,"
                               "0W2,0I3,0W3,0U",
                               "1F0,2F0,1F1,2F1,2I0,2W0,1F2,1I0,1W0,2F2,2I1,2W1,1F3,1I1,1W1,2F3,2I2,2W2,1I2,2I3,1I3,"
                               "1W2,2W3,2U,1W3,1U"});
  CHECK(lines(generate("dualpipe_v", v_chain(2, 4))) ==
        std::vector<std::string>{"0F0,0F1,0F2,3F0,3I0,3W0,3F1,0F3,3B1,3F2,0B0,3B2,3F3,0B1,3B3,3U,0I2,0W2,0I3,0W3,0U",
                                 "1F0,2F0,1F1,2F1,1F2,2B0,2F2,1B0,1F3,2B1,2F3,1B1,2B2,1B2,2I3,1I3,2W3,2U,1W3,1U"});
}

TEST_CASE("Bubbles are the formulas' for any number of stages and micro-batches") {
  int compared = 0;
  for (const ScheduleType& type : schedule_types()) {
    CAPTURE(type.name);
    for (int devices = 1; devices <= 8; ++devices)
      for (int micro_batches = 1; micro_batches <= 20; ++micro_batches) {
        const ScheduleShape shape = shape_for(type.name, devices, micro_batches);
        const std::optional<double> formula = type.bubble(shape);
        if (!formula) continue;
        CAPTURE(describe(shape));
        CHECK(play_equal(generate(type.name, shape), shape).bubble == doctest::Approx(*formula).epsilon(1e-12));
        ++compared;
      }
  }
  CHECK(compared > 800);
}

TEST_CASE("Formulas are the papers'") {
  const auto bubble = [](const std::string& name, int devices, int micro_batches) {
    return find_schedule_type(name)->bubble(shape_for(name, devices, micro_batches)).value();
  };
  for (const auto& [p, m] : {std::pair(4, 8), {2, 3}, {8, 32}}) {
    CHECK(bubble("gpipe", p, m) == doctest::Approx((p - 1.0) / (m + p - 1.0)));
    CHECK(bubble("1f1b", p, m) == doctest::Approx((p - 1.0) / (m + p - 1.0)));
    CHECK(bubble("zero_bubble_h1", p, m) == doctest::Approx((p - 1.0) / (3.0 * m + p - 1.0)));
  }
  CHECK(bubble("interleaved_1f1b", 4, 8) == doctest::Approx(3.0 / (2 * 8 + 3)));
  CHECK_FALSE(find_schedule_type("interleaved_1f1b")->bubble(looped_chain(4, 2, 7)));
  CHECK_FALSE(find_schedule_type("zero_bubble_h1")->bubble(chain(4, 3)));
  CHECK_FALSE(find_schedule_type("1f1b")->bubble(looped_chain(4, 2, 8)));
  ScheduleShape skip = chain(4, 8);
  skip.links.push_back({0, 2});
  CHECK_FALSE(find_schedule_type("1f1b")->bubble(skip));
}

TEST_CASE("With four stages and eight micro-batches H1 idles 11.1 % where 1F1B idles 27.3 %, H2 under 3 % in a row") {
  const ScheduleShape shape = chain(4, 8);
  CHECK(play_equal(generate("1f1b", shape), shape).bubble == doctest::Approx(3.0 / 11));
  CHECK(play_equal(generate("zero_bubble_h1", shape), shape).bubble == doctest::Approx(1.0 / 9));
  CHECK(play_equal(generate("zero_bubble_h2", shape), shape, 20).bubble <= 0.03);
}

TEST_CASE("H2 and ZB-V idle in no batch but for the way to the last device") {
  for (const std::string name : {"zero_bubble_h2", "zb_v"})
    for (int devices = 1; devices <= 6; ++devices)
      for (int micro_batches = 2 * devices - 1; micro_batches <= 14; ++micro_batches) {
        const ScheduleShape shape = shape_for(name, devices, micro_batches);
        CAPTURE(describe(shape));
        const int work = shape.stages() / devices * 3 * micro_batches;
        CHECK(play_equal(generate(name, shape), shape, 20).length == doctest::Approx(20 * work + devices - 1));
      }
}

TEST_CASE("DualPipe-V, whose pairs run one after the other here, is as short as ZB-V in a batch and longer in a row") {
  for (int devices = 2; devices <= 6; ++devices)
    for (int micro_batches = 2 * devices; micro_batches <= 14; ++micro_batches) {
      const ScheduleShape shape = shape_for("dualpipe_v", devices, micro_batches);
      CAPTURE(describe(shape));
      const auto length = [&](const std::string& name, int batches) {
        return play_equal(generate(name, shape), shape, batches).length;
      };
      CHECK(length("dualpipe_v", 1) == doctest::Approx(length("zb_v", 1)));
      CHECK(length("dualpipe_v", 20) > length("zb_v", 20) + 1);
    }
}

TEST_CASE("Schedules hold as many micro-batches as their papers say") {
  for (int p = 1; p <= 6; ++p) {
    const ScheduleShape shape = chain(p, 16);
    const auto most = [&](const std::string& name, int stage) {
      return play_equal(generate(name, shape), shape).peak_slots[static_cast<std::size_t>(stage)].activations;
    };
    for (int stage = 0; stage < p; ++stage) {
      CAPTURE(p);
      CAPTURE(stage);
      CHECK(most("sequential", stage) == 1);
      CHECK(most("gpipe", stage) == 16);
      CHECK(most("1f1b", stage) == p - stage);
      CHECK(most("zero_bubble_h1", stage) <= p);
      CHECK(most("zero_bubble_h2", stage) <= 2 * p - 1);
    }
    CHECK(most("zero_bubble_h1", 0) == p);
    CHECK(most("zero_bubble_h2", 0) == 2 * p - 1);
  }
  // Several stages a device, each a part of one: what a device holds at one time, in whole ones.
  for (int p = 1; p <= 6; ++p) {
    const auto most = [](const std::string& name, const ScheduleShape& shape, double part) {
      const MemoryLimits memory{std::vector<double>(static_cast<std::size_t>(shape.stages()), part), {}, {}};
      const std::vector<double> bytes = peak_bytes(generate(name, shape), shape, memory);
      return *std::max_element(bytes.begin(), bytes.end());
    };
    CHECK(most("zb_v", v_chain(p, 16), 0.5) == doctest::Approx(p));
    CHECK(most("dualpipe_v", v_chain(p, 16), 0.5) == doctest::Approx(p + 0.5));
    for (int v = 2; v <= 4; ++v)
      CHECK(most("interleaved_1f1b", looped_chain(p, v, 4 * p), 1.0 / v) == doctest::Approx(p + (p - 1.0) / v));
  }
}

TEST_CASE("Any DAG, placement, number of replicas and of micro-batches") {
  constexpr unsigned seed = 20240118;
  MESSAGE("seed " << seed);
  std::mt19937 random(seed);
  int generated = 0;
  for (int number = 0; number < 1200; ++number) {
    ScheduleShape shape = number % 3 == 2 ? random_folded_shape(random) : random_shape(random);
    shape.training = number % 7 != 6;
    CAPTURE(number);
    CAPTURE(describe(shape));
    const auto check = [&](const ScheduleType& type) {
      if (!type.misfit(shape).empty()) return;
      CAPTURE(type.name);
      const Schedule schedule = type.generate({shape, ActionCosts::equal(shape), {}});
      const ScheduleLimits limits = natural_limits(schedule, shape);
      REQUIRE(check_schedule(schedule, shape, limits) == std::vector<std::string>{});
      CHECK(check_schedule(schedule, shape, unbounded()).empty());
      // The bounds cost no time, but in inference, where they alone hold a stage back.
      const ActionCosts costs = ActionCosts::equal(shape);
      const double bounded = simulate(schedule, shape, costs, limits, 3).length;
      if (shape.training) CHECK(bounded == doctest::Approx(play_equal(schedule, shape, 3).length));
      for (int fewer = 1; fewer < shape.micro_batches; fewer += 4) {
        ScheduleShape shorter = shape;
        shorter.micro_batches = fewer;
        CHECK(check_schedule(shortened(schedule, fewer), shorter, limits).empty());
      }
      ++generated;
    };
    for (const ScheduleType& type : schedule_types())
      if (type.name != "auto" || number % 10 == 0) check(type);
    if (!shape.training) check(*find_schedule_type("inference"));
  }
  MESSAGE(generated << " schedules");
  CHECK(generated > 6000);
}

TEST_CASE("Placements that a schedule cannot have are refused with what it needs") {
  const auto misfit = [](const std::string& name, const ScheduleShape& shape) {
    return find_schedule_type(name)->misfit(shape);
  };
  for (const std::string name : {"zb_v", "dualpipe_v"}) {
    CHECK(misfit(name, v_chain(3, 4)) == "");
    for (const ScheduleShape& shape : {chain(4, 4), looped_chain(2, 2, 4), looped_chain(2, 3, 4)})
      CHECK(misfit(name, shape).find("stages 0 and 2p-1 on the first") != std::string::npos);
  }
  CHECK(misfit("zb_v", looped_chain(2, 2, 4)).find("here stages run on devices 0, 1, 0, 1") != std::string::npos);
  CHECK(misfit("interleaved_1f1b", looped_chain(3, 2, 4)) == "");
  CHECK(misfit("interleaved_1f1b", chain(4, 4)).find("needs two or more stages a device") != std::string::npos);
  CHECK(misfit("interleaved_1f1b", v_chain(2, 4)) != "");
  ScheduleShape replicas = v_chain(2, 4);
  replicas.devices = 3;
  replicas.devices_of_stage[0] = {0, 2};
  CHECK(misfit("zb_v", replicas).find("0+2, 1, 1, 0") != std::string::npos);
  for (const std::string name : {"gpipe", "1f1b", "sequential", "zero_bubble_h1", "zero_bubble_h2", "auto"})
    CHECK(misfit(name, replicas) == "");
}

TEST_CASE("Schedules are found by name") {
  CHECK(schedule_names() == std::vector<std::string>{"gpipe", "1f1b", "interleaved_1f1b", "zero_bubble_h1",
                                                     "zero_bubble_h2", "zb_v", "dualpipe_v", "auto", "sequential"});
  for (const std::string name : {"inference", "custom"}) {
    REQUIRE(find_schedule_type(name) != nullptr);
    CHECK_FALSE(find_schedule_type(name)->help.empty());
  }
  CHECK(find_schedule_type("1F1B") == nullptr);
}

TEST_CASE("Inference streams: a micro-batch a step, whatever there are") {
  ScheduleShape shape = chain(4, 50);
  shape.training = false;
  const Schedule schedule = generate("inference", shape);
  const ScheduleLimits limits = natural_limits(schedule, shape);
  CHECK(limits.link_capacity == 2);
  for (const StageSlots& slots : limits.slots) CHECK(slots.outputs <= 2);
  CHECK(simulate(schedule, shape, ActionCosts::equal(shape), limits).length == doctest::Approx(53));
  CHECK(find_schedule_type("inference")->bubble(shape).value() == doctest::Approx(3.0 / 53));
}

// Random networks, cuts, schedules and pipelines: each must end with the very bits of `sequential`. A case is a
// function of its seed. LENET_FLOW_CASES=N runs N cases of each kind (default 500); LENET_FLOW_CASE=SEED replays one;
// LENET_FLOW_STEPS=N trains N steps (default 5). `meson test --benchmark` runs all of them with 1,000 steps.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstdlib>

#include "devices/random.h"
#include "tests/engine/pipeline/rig.h"

using namespace lenet_flow;
using namespace lenet_flow::test;

namespace {

std::int64_t from_environment(const char* name, std::int64_t otherwise) {
  const char* text = std::getenv(name);
  return text ? std::strtoll(text, nullptr, 10) : otherwise;
}

/// Draws one case.
class Case {
 public:
  explicit Case(std::uint64_t seed) : stream_(seed, 0, 0, "case") {
    stages_ = 1 + below(6);
    layers_ = std::max(stages_, 2 + below(7));
    draw_layers();
    draw_pipeline();
  }

  const std::string& graph() const { return graph_; }
  const std::string& schedule() const { return schedule_; }
  std::int64_t images() const { return images_; }
  int in_flight() const { return in_flight_; }
  int link_capacity() const { return link_capacity_; }
  std::string text() const {
    return fmt::format(
        "{} stages, {} layers, batch {}, micro-batch {}, {} images, schedule {}, in_flight {}, link_capacity {}",
        stages_, layers_, batch_, micro_batch_, images_, schedule_, in_flight_, link_capacity_);
  }

 private:
  int below(int bound) { return static_cast<int>(stream_.below(drawn_++, static_cast<std::uint32_t>(bound))); }
  bool one_in(int count) { return below(count) == 0; }

  /// The device names of a stage's replicas: each stage has devices of its own or shares with the one before.
  std::string device(int number) const { return fmt::format("d{}", number); }

  void draw_layers() {
    // Layer i is in stage i * stages / layers, so every stage has one; all outputs are 2x6x6 until the dense end.
    std::vector<std::vector<std::string>> of_stage(static_cast<std::size_t>(stages_));
    std::vector<std::string> texts;
    std::vector<bool> read(static_cast<std::size_t>(layers_), false);
    for (int i = 0; i < layers_; ++i) {
      const int stage = i * stages_ / layers_;
      const std::string name = fmt::format("l{}", i), on = fmt::format("\"device\": \"{}\"", first_device(stage));
      of_stage[static_cast<std::size_t>(stage)].push_back('"' + name + '"');
      const auto earlier = [&] {
        // The input, or a layer before that nobody reads yet, or any.
        for (int j = i - 1; j >= 0; --j)
          if (!read[static_cast<std::size_t>(j)] && !one_in(3)) return j;
        return below(i + 1) - 1;
      };
      const auto after = [&](int count) {
        std::vector<std::string> names;
        for (int k = 0; k < count; ++k) {
          const int j = earlier();
          if (j >= 0) read[static_cast<std::size_t>(j)] = true;
          // The input has one channel, the others two: only what takes any number may read it twice.
          names.push_back(j < 0 ? "\"input\"" : fmt::format("\"l{}\"", j));
        }
        return fmt::format("\"after\": [{}]", fmt::join(names, ", "));
      };
      if (i == layers_ - 1) {
        std::vector<std::string> names;
        for (int j = 0; j < i; ++j)
          if (!read[static_cast<std::size_t>(j)]) names.push_back(fmt::format("\"l{}\"", j));
        if (names.empty()) names.push_back("\"input\"");
        const std::string split =
            first_device(stage) == "d0" || !one_in(3) ? "" : R"(, "split": ["d0", ")" + first_device(stage) + "\"]";
        if (names.size() > 1) {
          texts.push_back(
              fmt::format(R"({{"name": "join", "type": "concat", "after": [{}], {}}})", fmt::join(names, ", "), on));
          of_stage[static_cast<std::size_t>(stage)].push_back("\"join\"");
          names = {"\"join\""};
        }
        texts.push_back(fmt::format(R"({{"name": "flat", "type": "flatten", "after": {}, {}}})", names[0], on));
        of_stage[static_cast<std::size_t>(stage)].push_back("\"flat\"");
        texts.push_back(fmt::format(R"({{"name": "{}", "type": "dense", "out_features": 4, {}{}}})", name, on, split));
        break;
      }
      switch (below(7)) {
        case 0: texts.push_back(fmt::format(R"({{"name": "{}", "type": "relu", {}, {}}})", name, after(1), on)); break;
        case 1:
          texts.push_back(fmt::format(R"({{"name": "{}", "type": "dropout", "p": 0.3, {}, {}}})", name, after(1), on));
          break;
        case 2:
          texts.push_back(fmt::format(R"({{"name": "{}", "type": "concat", {}, {}}})", name, after(2), on));
          break;
        case 3:
          texts.push_back(fmt::format(R"({{"name": "{}", "type": "batch_norm", {}, {}}})", name, after(1), on));
          break;
        default:
          texts.push_back(fmt::format(
              R"({{"name": "{}", "type": "conv2d", "out_channels": {}, "kernel": 3, "padding": 1, {}, {}}})", name,
              1 + below(3), after(1), on));
      }
    }
    layers_text_ = fmt::format("{}", fmt::join(texts, ",\n"));
    // The parts of a split layer are stages of their own: what joins them cannot be in one with what they read.
    if (layers_text_.find("split") != std::string::npos) {
      const std::string last = fmt::format("\"l{}\"", layers_ - 1);
      std::erase(of_stage.back(), last);
      of_stage.push_back({last});
      devices_.push_back(first_device(stages_ - 1));
      replicas_.push_back(1);
      ++stages_;
    }
    for (int stage = 0; stage < stages_; ++stage) {
      std::vector<std::string> devices{'"' + first_device(stage) + '"'};
      for (int replica = 1; replica < replicas(stage); ++replica)
        devices.push_back(fmt::format("\"d{}r{}\"", stage, replica));
      stages_text_ += fmt::format("{}{{\"name\": \"s{}\", \"layers\": [{}], \"devices\": [{}], \"recompute\": {}}}",
                                  stage ? ", " : "", stage, fmt::join(of_stage[static_cast<std::size_t>(stage)], ", "),
                                  fmt::join(devices, ", "), one_in(4));
    }
  }

  /// A third of the stages share the device of the stage before; a third of the others have replicas.
  std::string first_device(int stage) {
    while (static_cast<int>(devices_.size()) <= stage) {
      const bool shares = !devices_.empty() && one_in(3);
      devices_.push_back(shares ? devices_.back() : fmt::format("d{}", devices_.size()));
      replicas_.push_back(!shares && one_in(3) ? 2 + below(2) : 1);
    }
    return devices_[static_cast<std::size_t>(stage)];
  }
  int replicas(int stage) { return first_device(stage), replicas_[static_cast<std::size_t>(stage)]; }

  void draw_pipeline() {
    micro_batch_ = 1 + below(4);
    const int micro_batches = 1 + below(12);
    batch_ = std::max(1, micro_batch_ * micro_batches - below(micro_batch_));
    micro_batch_ = std::min(micro_batch_, batch_);
    images_ = batch_ * from_environment("LENET_FLOW_STEPS", 5) - below(batch_);
    std::vector<std::string> names;
    for (const std::string& name : schedule_names())
      if (name != "custom" && name != "inference") names.push_back(name);
    schedule_ = names[static_cast<std::size_t>(below(static_cast<int>(names.size())))];
    if (one_in(5)) link_capacity_ = 1 + below(2);
    std::string devices;
    for (int stage = 0; stage < stages_; ++stage) {
      const std::string first = first_device(stage);
      for (int replica = 0; replica < replicas(stage); ++replica) {
        const std::string name = replica == 0 ? first : fmt::format("d{}r{}", stage, replica);
        const std::string entry = fmt::format("\"{}\": {{\"kind\": \"cpu\", \"cores\": 1}}", name);
        if (devices.find(entry) == std::string::npos) devices += (devices.empty() ? "" : ", ") + entry;
      }
    }
    graph_ = graph_text(devices, layers_text_,
                        fmt::format("\"micro_batch\": {}, \"stages\": [{}]", micro_batch_, stages_text_), batch_,
                        one_in(2) ? R"({"type": "adam", "learning_rate": 0.01})"
                                  : R"({"type": "sgd", "learning_rate": 0.05, "momentum": 0.9})");
  }

  RandomStream stream_;
  std::uint64_t drawn_ = 0;
  int stages_ = 1, layers_ = 2, batch_ = 1, micro_batch_ = 1, in_flight_ = 0, link_capacity_ = 0;
  std::int64_t images_ = 1;
  std::vector<std::string> devices_;
  std::vector<int> replicas_;
  std::string layers_text_, stages_text_, graph_, schedule_;
};

/// False where the schedule refuses the placement, or the bounds.
bool check_case(std::uint64_t seed) {
  const Case drawn(seed);
  CAPTURE(seed);
  CAPTURE(drawn.text());
  CAPTURE(drawn.graph());
  const Rig rig(drawn.graph(), drawn.images(), {1, 6, 6});
  PipelineOptions options = rig.options(drawn.schedule()), sequential = rig.options("sequential");
  // Long runs share the machine with others: a thread may not get a core for seconds.
  options.watchdog_seconds = sequential.watchdog_seconds = 60;
  options.in_flight = drawn.in_flight();
  options.link_capacity = drawn.link_capacity();
  std::unique_ptr<Pipeline> pipeline;
  try {
    pipeline = rig.pipeline(options);
  } catch (const InputError& refused) {
    const std::string text = refused.what();
    CHECK((text.find("needs") != std::string::npos || text.find("deadlock") != std::string::npos));
    return false;
  }
  pipeline.reset();
  CHECK(difference(rig.train(options, drawn.images()), rig.train(sequential, drawn.images())) == "");
  return true;
}

}  // namespace

TEST_CASE("random networks under random schedules end with the bits of `sequential`") {
  if (const std::int64_t seed = from_environment("LENET_FLOW_CASE", -1); seed >= 0) {
    check_case(static_cast<std::uint64_t>(seed));
    return;
  }
  const std::int64_t wanted = from_environment("LENET_FLOW_CASES", 500);
  std::int64_t run = 0;
  std::uint64_t seed = 0;
  for (; run < wanted && seed < static_cast<std::uint64_t>(4 * wanted); ++seed) run += check_case(seed) ? 1 : 0;
  MESSAGE("seeds 0 to " << seed - 1 << ": " << run << " cases ran, the others' schedules refused their placements");
  CHECK(run == wanted);
}

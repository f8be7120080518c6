#include "engine/trace/chrome/chrome_trace.h"

#include <doctest/doctest.h>
#include <json/json.h>

#include <cmath>
#include <map>
#include <sstream>
#include <stdexcept>
#include <vector>

#include "engine/pipeline/run_error.h"
#include "tests/engine/pipeline/rig.h"

using namespace lenet_flow;
using namespace lenet_flow::test;

namespace {

/// A slice as a reader of the file sees it: B and the E that closes it.
struct Slice {
  std::int64_t from = 0, until = 0;  ///< nanoseconds
  std::size_t depth = 0;
  Json::Value event;

  std::string name() const { return event["name"].asString(); }
  std::string category() const { return event["cat"].asString(); }
};
using Track = std::pair<int, int>;  ///< process and thread

struct Loaded {
  Json::Value json;
  std::map<Track, std::vector<Slice>> slices;
  std::map<Track, std::string> names;
  std::map<std::string, std::vector<double>> counters;
  std::map<std::int64_t, std::vector<Json::Value>> arrows;
};

std::int64_t nanoseconds(const Json::Value& event) { return std::llround(event["ts"].asDouble() * 1000); }

/// Reads the file's text; what is no nesting of slices, in the order of time, fails.
Loaded load(const std::string& text) {
  Loaded loaded;
  std::istringstream stream(text);
  std::string errors;
  REQUIRE_MESSAGE(Json::parseFromStream(Json::CharReaderBuilder(), stream, &loaded.json, &errors), errors);
  std::map<Track, std::vector<Slice>> open;
  std::map<Track, std::int64_t> last;
  for (const Json::Value& event : loaded.json["traceEvents"]) {
    const Track track{event["pid"].asInt(), event["tid"].asInt()};
    const std::string phase = event["ph"].asString();
    if (phase == "M" && event["name"] == "thread_name") loaded.names[track] = event["args"]["name"].asString();
    if (phase == "C") loaded.counters[event["name"].asString()].push_back(event["args"].begin()->asDouble());
    if (phase == "s" || phase == "t" || phase == "f") loaded.arrows[event["id"].asInt64()].push_back(event);
    if (phase != "B" && phase != "E") continue;
    CHECK(nanoseconds(event) >= last[track]);
    last[track] = nanoseconds(event);
    if (phase == "B") {
      open[track].push_back({nanoseconds(event), 0, open[track].size(), event});
      continue;
    }
    REQUIRE(!open[track].empty());
    Slice slice = open[track].back();
    open[track].pop_back();
    slice.until = nanoseconds(event);
    loaded.slices[track].push_back(slice);
  }
  for (const auto& [track, slices] : open) CHECK(slices.empty());
  return loaded;
}

const std::string devices = R"("a": {"kind": "cpu", "cores": 1}, "b": {"kind": "cpu", "cores": 1})";
const std::string layers = R"({"name": "conv", "type": "conv2d", "out_channels": 3, "kernel": 3, "device": "a"},
       {"name": "relu", "type": "relu", "device": "a"},
       {"name": "flat", "type": "flatten", "device": "b"},
       {"name": "fc", "type": "dense", "out_features": 4, "device": "b"})";

/// A pipeline with a trace of it.
struct Traced {
  explicit Traced(const std::string& schedule, const std::string& pipeline_text = R"("micro_batch": 2)",
                  const BatchSample& sample = {1, 1'000'000})
      : rig(graph_text(devices, layers, pipeline_text), 80), pipeline(rig.pipeline(rig.options(schedule))) {
    trace = std::make_unique<ChromeTrace>(pipeline->traced(), sample,
                                          [this](std::string_view content) { text += content; });
    pipeline->collector().add_sink(*trace);
  }
  void run(std::int64_t images, Mode mode = Mode::train) {
    PassRequest request = rig.request(images, mode);
    request.timed = true;
    pipeline->run(request);
  }
  Loaded finish() {
    trace->finish({{"program", "\"test\""}});
    return load(text);
  }

  Rig rig;
  std::unique_ptr<Pipeline> pipeline;
  std::string text;
  std::unique_ptr<ChromeTrace> trace;
};

/// What the stages' tracks say must be what the accounts say, to the nanosecond.
void check_states(const Traced& traced, const Loaded& loaded) {
  for (int unit = 0; unit < static_cast<int>(traced.pipeline->traced().units.size()); ++unit) {
    std::map<std::string, std::int64_t> spent;
    for (const auto& [track, slices] : loaded.slices)
      if (track.first == 1 && loaded.names.at(track) == traced.pipeline->traced().unit_name(unit))
        for (const Slice& slice : slices) spent[slice.name()] += slice.until - slice.from;
    for (const State& state : time_states)
      CHECK_MESSAGE(
          spent[state.name] ==
              std::llround(traced.pipeline->account().units()[static_cast<std::size_t>(unit)].seconds.*state.seconds *
                           1e9),
          traced.pipeline->traced().unit_name(unit) << " " << state.name);
  }
}

/// Every arrow goes from compute slice to compute slice of one micro-batch, forward in time.
void check_arrows(const Loaded& loaded, std::size_t micro_batches, std::size_t points) {
  CHECK(loaded.arrows.size() == micro_batches);
  for (const auto& [id, arrow] : loaded.arrows) {
    REQUIRE(arrow.size() == points);
    std::string micro_batch;
    for (std::size_t i = 0; i < arrow.size(); ++i) {
      CHECK(arrow[i]["ph"].asString() == (i == 0 ? "s" : i + 1 == arrow.size() ? "f" : "t"));
      if (i > 0) CHECK(nanoseconds(arrow[i]) > nanoseconds(arrow[i - 1]));
      int around = 0;
      for (const Slice& slice : loaded.slices.at({arrow[i]["pid"].asInt(), arrow[i]["tid"].asInt()})) {
        if (nanoseconds(arrow[i]) < slice.from || nanoseconds(arrow[i]) >= slice.until) continue;
        ++around;
        CHECK(slice.name() == "compute");
        const Json::Value& arguments = slice.event["args"];
        const std::string its = arguments["batch"].asString() + "." + arguments["micro_batch"].asString();
        CHECK((micro_batch.empty() || its == micro_batch));
        micro_batch = its;
      }
      CHECK(around == 1);
    }
  }
}

void check_counters(const Traced& traced, const Loaded& loaded, double in_flight, double capacity) {
  CHECK(loaded.counters.size() == traced.pipeline->traced().links.size() * 2 + 2 + 2);
  for (const auto& counter : loaded.counters) {
    const std::string& name = counter.first;
    const auto& values = counter.second;
    for (const double value : values) CHECK_MESSAGE(value >= 0, name);
    const double most = *std::max_element(values.begin(), values.end());
    CHECK_MESSAGE(most > 0, name);
    if (name != "throughput") CHECK_MESSAGE(values.back() == 0, name);
    if (name.find("in flight") != std::string::npos) CHECK(most <= in_flight);
    if (name.find("activations") != std::string::npos && name.find("->") != std::string::npos) CHECK(most <= capacity);
  }
}

}  // namespace

TEST_CASE("a trace has the accounts' states, the layers by name, arrows and counters that fit") {
  for (const char* schedule : {"gpipe", "1f1b", "zero_bubble_h1", "sequential"}) {
    CAPTURE(schedule);
    Traced traced(schedule);
    traced.run(36);
    traced.run(20);
    const Loaded loaded = traced.finish();
    check_states(traced, loaded);
    check_arrows(loaded, 18 + 10, 4);
    check_counters(traced, loaded, traced.pipeline->plan().limits.in_flight,
                   traced.pipeline->plan().limits.link_capacity);
    std::map<std::string, int> names;
    for (const auto& [track, slices] : loaded.slices)
      for (const Slice& slice : slices) {
        const bool inside = slice.category() == "layer" || slice.category() == "copy";
        CHECK_MESSAGE(slice.depth == (inside ? 1 : 0), slice.name());
        ++names[slice.name()];
      }
    for (const char* layer : {"conv", "relu", "flat", "fc"}) CHECK(names[layer] >= 2 * 28);
    CHECK(names["loss"] == 28);
    CHECK(names["F conv..relu"] == 28);
    CHECK(names["U flat..fc"] == 5 + 3);
    CHECK(names["read"] == 28);
    CHECK(traced.trace->coverage().batches == 8);
    CHECK(traced.trace->coverage().batches_of_run == 8);
    CHECK(traced.trace->coverage().written > 0);
    CHECK(loaded.json["otherData"]["program"] == "test");
    CHECK(loaded.json["otherData"]["batches"] == 8);
  }
}

TEST_CASE("a trace of inference follows micro-batches to the last stage") {
  Traced traced("gpipe");
  traced.run(40, Mode::infer);
  const Loaded loaded = traced.finish();
  check_states(traced, loaded);
  check_arrows(loaded, 20, 2);
}

TEST_CASE("each replica of a stage has a track of its own") {
  Traced traced("gpipe", R"("micro_batch": 2, "stages": [{"layers": ["conv", "relu"], "devices": ["a", "b"]},
                                                         {"layers": ["flat", "fc"]}])");
  traced.run(32);
  const Loaded loaded = traced.finish();
  check_states(traced, loaded);
  check_arrows(loaded, 16, 4);
  int replicas = 0;
  for (const auto& [track, name] : loaded.names) replicas += name == "conv..relu [1]" || name == "conv..relu [2]";
  CHECK(replicas == 2);
}

TEST_CASE("only batches that were asked for are written, through all epochs, and the file says which") {
  Traced traced("1f1b", R"("micro_batch": 2)", {3, 3});
  traced.run(40);  // batches 0 to 4 of the run: 0 and 3
  traced.run(40);  // 5 to 9: 6; 9 would be the fourth
  const Loaded loaded = traced.finish();
  std::map<std::string, int> seen;
  for (const auto& [track, slices] : loaded.slices)
    for (const Slice& slice : slices)
      if (slice.name() == "F conv..relu") ++seen[slice.event["args"]["batch"].asString()];
  CHECK(seen == std::map<std::string, int>{{"1", 4}, {"4", 4}, {"2", 4}});
  check_arrows(loaded, 12, 4);
  const TraceCoverage coverage = traced.trace->coverage();
  CHECK(coverage.batches == 3);
  CHECK(coverage.batches_of_run == 10);
  CHECK(coverage_text(coverage) == "3 of 10 batches (1 in 3, the first 3)");
  CHECK(loaded.json["otherData"]["sampled_every"] == 3);
  CHECK(loaded.json["otherData"]["batches_at_most"] == 3);
  CHECK(loaded.json["otherData"]["batches_of_run"] == 10);
}

TEST_CASE("a batch that was not taken leaves no drain behind") {
  Traced traced("gpipe", R"("micro_batch": 2)", {1, 2});
  traced.run(80);
  const Loaded loaded = traced.finish();
  for (const auto& [track, slices] : loaded.slices)
    for (const Slice& slice : slices)
      if (slice.name() == "drain" && !slice.event.isMember("args")) FAIL("the end of the pass is not of batch 2");
}

TEST_CASE("the file of a pass that failed is whole") {
  Rig rig(graph_text(devices, layers, R"("micro_batch": 2)"), 40);
  PipelineOptions options = rig.options("gpipe");
  options.on_step = [](const StepFacts& step) {
    if (step.batch == 2 && step.what == "fc") throw std::runtime_error("made to fail");
  };
  const auto pipeline = rig.pipeline(options);
  std::string text;
  ChromeTrace trace(pipeline->traced(), {}, [&](std::string_view content) { text += content; });
  pipeline->collector().add_sink(trace);
  PassRequest request = rig.request(40);
  request.timed = true;
  CHECK_THROWS_AS(pipeline->run(request), RunError);
  trace.finish({});
  const Loaded loaded = load(text);
  CHECK(loaded.arrows.size() >= 8);
  CHECK(!loaded.slices.empty());
}

TEST_CASE("lost events are shown where they were lost, and what was not ended is closed") {
  TracedPipeline pipeline;
  pipeline.devices = {"gpu \"0\"\\\n"};
  pipeline.stages = {"s"};
  pipeline.units.push_back({.entry = true, .steps = {{"a"}, {"a"}, {"a"}, {"a"}, {"update"}}});
  std::string text;
  ChromeTrace trace(pipeline, {}, [&](std::string_view content) { text += content; });
  trace.begin_pass({.micro_batches = 8,
                    .batches = 2,
                    .per_batch = 4,
                    .images_per_micro_batch = 1,
                    .images_per_batch = 4,
                    .images = 8,
                    .begin = 1000});
  const StepRecord step{0, 1500};
  ActionRecord action;
  action.arrivals.order = {1000, 0};
  action.ready = action.begin = 1100;
  action.end = 1500;
  action.steps = std::span(&step, 1);
  trace.on_action(action);
  trace.on_lost(0, 1500, 2500);
  trace.finish({});  // the pass has not ended
  const Loaded loaded = load(text);
  CHECK(loaded.names.at({2, 11}) == "gpu \"0\"\\\n");
  bool unaccounted = false, told = false;
  for (const Slice& slice : loaded.slices.at({1, 10}))
    unaccounted = unaccounted || (slice.name() == "unaccounted" && slice.from == 500 && slice.until == 1500);
  for (const Json::Value& event : loaded.json["traceEvents"]) told = told || event["ph"] == "i";
  CHECK(unaccounted);
  CHECK(told);
}

TEST_CASE("a run without a batch leaves a whole file too") {
  std::string text;
  ChromeTrace trace(TracedPipeline{}, {}, [&](std::string_view content) { text += content; });
  trace.finish({});
  CHECK(load(text).json["traceEvents"].isArray());
}

TEST_CASE("which batches are taken") {
  const BatchSample sample{10, 3};
  for (std::int64_t batch = 0; batch < 50; ++batch) {
    CHECK(sample.takes(batch) == (batch == 0 || batch == 10 || batch == 20));
    CHECK(sample.ends_before(batch) == (batch > 20));
  }
  CHECK(coverage_text({1, 200, 200, 938, 0, 0}) == "200 of 938 batches (the first 200)");
  CHECK(coverage_text({1, 200, 200, 200, 0, 0}) == "all 200 batches");
  CHECK(coverage_text({1, 200, 1, 1, 0, 0}) == "all 1 batch");
  CHECK(coverage_text({10, 200, 94, 938, 0, 7}) == "94 of 938 batches (1 in 10); 7 events were lost");
}

#include "engine/training/result.h"

#include <doctest/doctest.h>
#include <json/json.h>

#include <cmath>
#include <set>

using namespace lenet_flow;

namespace {

Json::Value parsed(const std::string& text) {
  Json::CharReaderBuilder builder;
  Json::CharReaderBuilder::strictMode(&builder.settings_);
  const std::unique_ptr<Json::CharReader> reader(builder.newCharReader());
  Json::Value json;
  std::string errors;
  REQUIRE_MESSAGE(reader->parse(text.data(), text.data() + text.size(), &json, &errors), errors);
  return json;
}

std::set<std::string> keys(const Json::Value& json) {
  const auto names = json.getMemberNames();
  return {names.begin(), names.end()};
}

RunResult some_result() {
  RunResult result;
  result.version = "1.2.3";
  result.graph = "lenet5";
  result.seed = 18446744073709551615u;
  result.command = "lenet-flow run \"a\nb\" \xff \xc3\xbc";
  result.devices = {{"gpu0", "cuda 0", "1 core (0)", "--map gpu0=cpu", {0}, -1, 4096},
                    {"gpu1", "cuda 1", "NVIDIA H200", "", {}, 1, 17}};
  result.epochs = {{1, 60000, 1.0 / 3.0, 0.1, 0.2, 0.97, 0.05}, {2, 60000, 1e-9, 1e300, NAN, NAN, 0.01}};
  result.images = 120000;
  result.seconds = 0.1 + 0.2;
  result.images_per_second = INFINITY;
  result.test_accuracy = NAN;
  result.parameters_sha256 = "abc";
  result.pipeline = {"gpipe", 2, 16, 4, 4, 0.25, std::nullopt};
  StageResult stage;
  stage.name = "conv1..pool1";
  stage.device = "gpu0";
  stage.layers = {"conv1", "pool1"};
  stage.images = 120000;
  stage.seconds = {.compute = 0.1,
                   .transfer = 0.02,
                   .launch = 0.03,
                   .sync = 0.04,
                   .blocked = 0.05,
                   .starved = 0.06,
                   .no_credit = 0.07,
                   .contended = 0.08,
                   .optimizer = 0.09,
                   .fill = 0.11,
                   .drain = 0.12,
                   .unaccounted = 0.13};
  stage.peak_bytes = 5;
  result.stages = {stage};
  result.peak_resident_bytes = 1u << 31;
  result.warnings = {"one", "two"};
  return result;
}

}  // namespace

TEST_CASE("a result tells of states by epoch and device, times of layers, tracing and causes") {
  RunResult result = some_result();
  result.epochs[0].stages = {result.stages[0].seconds};
  result.devices[0].seconds = result.stages[0].seconds;
  result.steps = {{"conv1..pool1", "gpu0", "conv1", 1, ActionKind::backward, 10, 1, 0.1, 0.09, 0.2, 0.3, 0.4}};
  result.trace.clock = "steady clock";
  result.trace.lost = 3;
  result.diagnosis.line = "nothing stands out";
  result.diagnosis.causes = {{RootKind::link, 0, "link 'a->b'", 0.5, 0.25}};
  result.diagnosis.waits = {{{RootKind::schedule, -1, "the schedule", 0.1, 0.05}}, {}};
  const Json::Value json = parsed(result_json(result));
  CHECK(json["epochs"][0]["stages"][0]["starved"] == 0.06);
  CHECK(!json["epochs"][1].isMember("stages"));
  CHECK(json["devices"][0]["seconds"]["drain"] == 0.12);
  CHECK(!json["devices"][1].isMember("seconds"));
  CHECK(json["steps"][0]["action"] == "B");
  CHECK(json["steps"][0]["p99"] == 0.3);
  CHECK(json["trace"]["lost"] == 3);
  CHECK(json["diagnosis"]["causes"][0]["kind"] == "link");
  CHECK(json["diagnosis"]["causes"][0]["share"] == 0.25);
  CHECK(json["diagnosis"]["waits"][0][0]["kind"] == "schedule");
  CHECK(json["diagnosis"]["waits"].size() == 2);
}

TEST_CASE("a result has the contract's keys, all of them") {
  const Json::Value json = parsed(result_json(some_result()));
  for (const char* key : {"schema", "version", "graph", "mode", "seed", "command", "devices", "epochs", "images",
                          "seconds", "images_per_second", "wall_seconds", "test_accuracy", "test_loss",
                          "parameters_sha256", "pipeline", "stages", "memory", "warnings"}) {
    INFO(key);
    CHECK(json.isMember(key));
  }
  CHECK(json["schema"] == "lenet-flow.run/1");
  CHECK(json["mode"] == "train");
  CHECK(keys(json["epochs"][0]) ==
        std::set<std::string>{"epoch", "images", "seconds", "loss", "test_loss", "test_accuracy", "learning_rate"});
  CHECK(keys(json["devices"][0]) == std::set<std::string>{"name", "asked", "used", "why", "cores", "memory_bytes"});
  CHECK(keys(json["devices"][1]) == std::set<std::string>{"name", "asked", "used", "index", "memory_bytes"});
  CHECK(keys(json["pipeline"]) == std::set<std::string>{"schedule", "stages", "micro_batch", "micro_batches",
                                                        "in_flight", "weight_versions", "bubble_measured",
                                                        "bubble_theory"});
  CHECK(keys(json["stages"][0]) == std::set<std::string>{"name", "device", "replica", "layers", "images", "seconds",
                                                         "update_seconds", "injected_seconds", "peak_bytes"});
  CHECK(keys(json["stages"][0]["seconds"]) == std::set<std::string>{"compute", "transfer", "launch", "sync", "blocked",
                                                                    "starved", "no_credit", "contended", "optimizer",
                                                                    "fill", "drain", "unaccounted"});
  CHECK(keys(json["memory"]) == std::set<std::string>{"peak_resident_bytes", "devices"});
  CHECK(json["memory"]["devices"]["gpu0"] == 4096);
}

TEST_CASE("the times that schedule auto was made for are in the result, and only there") {
  RunResult result = some_result();
  CHECK(!parsed(result_json(result))["pipeline"].isMember("costs"));
  result.pipeline.costs = {{"conv1..pool1", "measured", 0.1, 0.2, 0.3, 0.4}};
  const Json::Value costs = parsed(result_json(result))["pipeline"]["costs"];
  REQUIRE(costs.size() == 1);
  CHECK(costs[0]["stage"] == "conv1..pool1");
  CHECK(costs[0]["source"] == "measured");
  CHECK(costs[0]["forward"].asDouble() == 0.1);
  CHECK(costs[0]["input_gradients"].asDouble() == 0.2);
  CHECK(costs[0]["parameter_gradients"].asDouble() == 0.3);
  CHECK(costs[0]["update"].asDouble() == 0.4);
}

TEST_CASE("staleness without flush, and what recomputing saves, are there where there is something to say") {
  RunResult result = some_result();
  CHECK(parsed(result_json(result))["pipeline"]["weight_versions"] == "flush");
  result.pipeline.weight_versions = "stashing";
  result.stages[0].weight_versions = 2;
  result.stages[0].staleness = {1, 499};
  result.stages[0].bytes_without_recompute = std::uint64_t{1} << 40;
  const Json::Value json = parsed(result_json(result));
  CHECK(json["pipeline"]["weight_versions"] == "stashing");
  const Json::Value& stage = json["stages"][0];
  CHECK(stage["weight_versions"] == 2);
  REQUIRE(stage["staleness"].size() == 2);
  CHECK(stage["staleness"][1] == 499);
  CHECK(stage["bytes_without_recompute"].asUInt64() == std::uint64_t{1} << 40);
}

TEST_CASE("numbers come back as they were; what JSON has no number for is null") {
  const RunResult result = some_result();
  const Json::Value json = parsed(result_json(result));
  CHECK(json["seed"].asUInt64() == 18446744073709551615u);
  CHECK(json["seconds"].asDouble() == result.seconds);
  CHECK(json["epochs"][0]["seconds"].asDouble() == 1.0 / 3.0);
  CHECK(json["epochs"][1]["seconds"].asDouble() == 1e-9);
  CHECK(json["epochs"][1]["loss"].asDouble() == 1e300);
  CHECK(json["memory"]["peak_resident_bytes"].asUInt64() == std::uint64_t{1} << 31);
  double sum = 0;
  for (const Json::Value& state : json["stages"][0]["seconds"]) sum += state.asDouble();
  CHECK(sum == doctest::Approx(result.stages[0].seconds.sum()).epsilon(1e-15));
  CHECK(json["stages"][0]["seconds"]["fill"].asDouble() == 0.11);
  CHECK(json["test_accuracy"].isNull());
  CHECK(json["images_per_second"].isNull());
  CHECK(json["epochs"][1]["test_loss"].isNull());
  CHECK(json["pipeline"]["bubble_theory"].isNull());
}

TEST_CASE("energy by name; null with the reason where it is not known") {
  RunResult result;
  result.energy = {{"cpu_packages", std::nullopt, "no counter"}, {"gpu0", 12.5, ""}};
  const Json::Value json = parsed(result_json(result));
  CHECK(json["energy"]["gpu0"] == 12.5);
  CHECK(json["energy"]["cpu_packages"].isNull());
  CHECK(keys(json["energy"]) == std::set<std::string>{"cpu_packages", "gpu0"});
  CHECK(keys(json["energy_why"]) == std::set<std::string>{"cpu_packages"});
  CHECK(json["energy_why"]["cpu_packages"] == "no counter");
}

TEST_CASE("lists are lists even where they are empty, and texts survive") {
  const Json::Value empty = parsed(result_json(RunResult{}));
  for (const char* key : {"devices", "epochs", "stages", "warnings"}) {
    INFO(key);
    CHECK(empty[key].isArray());
  }
  CHECK(empty["memory"]["devices"].isObject());
  CHECK(empty["energy"].isObject());
  const std::string text = result_json(some_result());
  CHECK(text.back() == '\n');
  for (const char c : text) CHECK(static_cast<unsigned char>(c) < 0x80);  // whatever bytes the command line had
  CHECK(parsed(text)["command"].asString().substr(0, 21) == "lenet-flow run \"a\nb\" ");
}

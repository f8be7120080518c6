#include <doctest/doctest.h>
#include <json/json.h>

#include <cmath>
#include <sstream>

#include "engine/graph/diagnostics.h"
#include "tests/tools/tiny_set.h"
#include "tools/profile_tables.h"

using namespace lenet_flow;
using namespace lenet_flow::test;

namespace {

Json::Value parsed(const std::string& text) {
  Json::Value json;
  std::istringstream(text) >> json;
  return json;
}

}  // namespace

TEST_CASE("profile: tables, the closing line, and JSON in which all states sum to the time") {
  const TemporaryFolder folder;
  const std::string graph = write_tiny_graph(folder);
  const Ended tables = run_program(folder, {"profile", graph, "--steps", "12", "--warm-up", "2"});
  CHECK(tables.code == 0);
  for (const char* part : {"stage", "waits come from", "device", "layer", "p99", "bubble", "tracing", " 0 lost"})
    CHECK_MESSAGE(tables.out_has(part), part << " in:\n" << tables.out);
  const Ended ended = run_program(folder, {"profile", graph, "--steps", "12", "--json", "-"});
  REQUIRE(ended.code == 0);
  const Json::Value json = parsed(ended.out);
  CHECK(json["schema"] == "lenet-flow.run/1");
  CHECK(json["test_accuracy"].isNull());
  CHECK(json["trace"]["lost"] == 0);
  CHECK(json["diagnosis"]["line"].asString().size() > 20);
  REQUIRE(json["stages"].size() == 2);
  for (const char* list : {"stages", "devices"})
    for (const Json::Value& one : json[list]) {
      double sum = 0;
      for (const Json::Value& state : one["seconds"]) sum += state.asDouble();
      CHECK(sum == doctest::Approx(json["seconds"].asDouble()).epsilon(1e-9));
    }
  // 12 batches of whole epochs of 64 images; each layer once a micro-batch.
  const std::int64_t micro_batches = json["images"].asInt64() / json["pipeline"]["micro_batch"].asInt64();
  for (const Json::Value& step : json["steps"])
    if (step["action"] == "F") CHECK(step["count"].asInt64() == micro_batches);
}

TEST_CASE("profile: a budget that is exceeded is exit code 4 and says by whom") {
  const TemporaryFolder folder;
  const std::string graph = write_tiny_graph(folder);
  const Ended over = run_program(folder, {"profile", graph, "--steps", "5", "--budget", "sync=0%,starved=0%"});
  CHECK(over.code == 4);
  CHECK(over.err_has("lenet-flow: over budget: stage '"));
  CHECK(over.err_has("the budget is 0.0%"));
  CHECK(over.out_has("bubble"));
  const Ended within = run_program(folder, {"profile", graph, "--steps", "5", "--budget", "no_credit=100%"});
  CHECK(within.code == 0);
}

TEST_CASE("profile: inference is profiled on the test split") {
  const TemporaryFolder folder;
  const std::string graph = write_tiny_graph(folder);
  const Ended ended =
      run_program(folder, {"profile", graph, "--steps", "3", "--set", "training.mode=infer", "--json", "-"});
  REQUIRE(ended.code == 0);
  CHECK(parsed(ended.out)["mode"] == "infer");
  CHECK(parsed(ended.out)["images"].asInt64() > 0);
}

TEST_CASE("budgets are read, and wrong ones refused with what would be right") {
  const auto limits = parse_budget("starved=5%,transfer=12.5%");
  REQUIRE(limits.size() == 2);
  CHECK(std::string(limits[0].state.name) == "starved");
  CHECK(limits[0].share == 0.05);
  CHECK(limits[1].share == 0.125);
  for (const char* wrong : {"", "starved", "starved=", "starved=5", "starved=x%", "starved=101%", "starved=-1%",
                            "starved=nan%", "compute=5%", "starve=5%", "=5%"}) {
    CAPTURE(wrong);
    CHECK_THROWS_AS(parse_budget(wrong), InputError);
  }
  const TemporaryFolder folder;
  const Ended ended = run_program(folder, {"profile", write_tiny_graph(folder), "--budget", "starve=5%"});
  CHECK(ended.code == 2);
  CHECK(ended.err_has("--budget: unknown state 'starve'; did you mean 'starved'?"));
  CHECK(run_program(folder, {"profile", write_tiny_graph(folder), "--steps", "0"}).code == 2);
}

#include <doctest/doctest.h>
#include <json/json.h>

#include <cmath>
#include <random>
#include <sstream>

#include "tests/tools/tiny_set.h"
#include "tools/comparison.h"

using namespace lenet_flow;
using namespace lenet_flow::test;

namespace {

/// A result as `run` writes it, as far as compare looks at it.
Json::Value result(double images_per_second, double accuracy = 0.9, const std::string& device = "cpu0") {
  Json::Value json;
  json["schema"] = "lenet-flow.run/1";
  json["images_per_second"] = images_per_second;
  json["test_accuracy"] = accuracy;
  json["seconds"] = 2.0;
  Json::Value stage;
  stage["name"] = "s";
  stage["device"] = device;
  stage["layers"].append("conv1");
  stage["seconds"]["compute"] = 1.5;
  stage["seconds"]["starved"] = 0.5;
  json["stages"].append(stage);
  return json;
}

std::vector<Json::Value> results(const std::vector<double>& speeds) {
  std::vector<Json::Value> list;
  for (const double speed : speeds) list.push_back(result(speed));
  return list;
}

const FigureComparison& figure(const Comparison& comparison, const std::string& name) {
  for (const FigureComparison& one : comparison.figures)
    if (one.name == name) return one;
  FAIL("no figure " << name);
  return comparison.figures[0];
}

Json::Value parsed(const std::string& text) {
  Json::Value json;
  std::istringstream(text) >> json;
  return json;
}

}  // namespace

TEST_CASE("intervals are Student's: a worked example of each kind") {
  // Accuracies, so that differences are not of logarithms. Paired: differences 2, 4, 6 points: mean 4, s = 2,
  // t(0.975, 2) = 4.302653, half width 4.302653 * 2 / sqrt(3) = 4.968275.
  std::vector<Json::Value> a, b;
  for (const double accuracy : {0.50, 0.60, 0.70}) a.push_back(result(1, accuracy));
  for (const double accuracy : {0.52, 0.64, 0.76}) b.push_back(result(1, accuracy));
  const FigureComparison paired = figure(compare_results(a, b, true), "test accuracy");
  CHECK(paired.change == doctest::Approx(0.04));
  CHECK(*paired.low == doctest::Approx(0.04 - 0.04968275).epsilon(1e-5));
  CHECK(*paired.high == doctest::Approx(0.04 + 0.04968275).epsilon(1e-5));
  CHECK(!paired.different());
  // Welch: s^2/n = 0.01/3 and 0.0144/3; 3.8743 degrees of freedom; t = 2.8109 (R: qt(0.975, 3.874)).
  const FigureComparison welch = figure(compare_results(a, b, false), "test accuracy");
  const double half = (*welch.high - *welch.low) / 2;
  CHECK(half / std::sqrt(0.0244 / 3) == doctest::Approx(2.811).epsilon(2e-3));
}

TEST_CASE("95 % intervals hold the truth in about 95 % of repetitions") {
  std::mt19937 random(11);
  std::normal_distribution<double> noise(0, 0.1);
  for (const bool paired : {true, false}) {
    int held = 0;
    constexpr int repetitions = 2000;
    for (int i = 0; i < repetitions; ++i) {
      std::vector<double> a, b;
      for (int run = 0; run < 5; ++run) {
        const double shared = paired ? noise(random) : 0;  // what the machine did while both ran
        a.push_back(1000 * std::exp(shared + noise(random)));
        b.push_back(1300 * std::exp(shared + noise(random)));
      }
      const FigureComparison speed = figure(compare_results(results(a), results(b), paired), "images/s");
      held += *speed.low <= 1.3 && 1.3 <= *speed.high;
    }
    CAPTURE(paired);
    CHECK(held > repetitions * 0.93);
    CHECK(held < repetitions * 0.975);
  }
}

TEST_CASE("verdicts: faster, slower, not to be told, and none from one run") {
  const auto said = [](const std::vector<double>& a, const std::vector<double>& b) {
    return verdict(compare_results(results(a), results(b), true));
  };
  CHECK(said({100, 101, 99}, {131, 132, 130}).starts_with("B is faster by 1.31x [1.3"));
  CHECK(said({131, 132, 130}, {100, 101, 99}).starts_with("A is faster by 1.31x [1.3"));
  CHECK(said({100, 140, 90}, {110, 100, 120}).starts_with("no difference in speed that 3 runs each can show: "));
  CHECK(said({100}, {500}).starts_with("one run each: no verdict"));
  CHECK_THROWS_AS(compare_results({}, results({1}), false), std::invalid_argument);
}

TEST_CASE("placements are compared layer by layer, and what makes results unlike is said") {
  Json::Value other = result(1, 0.9, "cpu1");
  other["stages"][0]["layers"].append("conv2");
  other["mode"] = "infer";
  Json::Value mine = result(1);
  mine["mode"] = "train";
  const Comparison comparison = compare_results({mine}, {other}, false);
  REQUIRE(comparison.placement.size() == 2);
  CHECK(comparison.placement[0].layer == "conv1");
  CHECK(comparison.placement[0].b == "stage 's' on cpu1");
  CHECK(comparison.placement[1].a.empty());
  REQUIRE(comparison.remarks.size() == 1);
  CHECK(comparison.remarks[0] == "mode: A train, B infer");
}

TEST_CASE("compare runs two graph files in turn; their results can be kept and compared again") {
  const TemporaryFolder folder;
  const std::string graph = write_tiny_graph(folder);
  const Ended ended = run_program(folder, {"compare", graph, graph, "--set-b", "pipeline.schedule=1f1b", "--runs", "2",
                                           "--epochs", "1", "--keep", folder / "kept", "--json", folder / "c.json"});
  CHECK(ended.code == 0);
  CHECK(ended.out_has("--set pipeline.schedule=1f1b"));
  CHECK(ended.out_has("2 runs each, interleaved"));
  CHECK(ended.out_has("placement: the same"));
  CHECK(ended.out_has("not alike: schedule: A gpipe, B 1f1b"));
  CHECK(ended.err_has("A run 1: "));
  CHECK(ended.err.find("A run 2") < ended.err.find("B run 2"));
  CHECK(ended.err.find("B run 1") < ended.err.find("A run 2"));
  const Json::Value json = parsed(read_text(folder / "c.json"));
  CHECK(json["schema"] == "lenet-flow.compare/1");
  CHECK(json["runs_a"] == 2);
  // Schedules change no bit: with equal seeds accuracies are equal.
  for (const Json::Value& one : json["figures"])
    if (one["name"] == "test accuracy") {
      CHECK(one["change"] == 0.0);
      CHECK(one["different"] == false);
    }
  const Json::Value first = parsed(read_text(folder / "kept/a/001.json")),
                    second = parsed(read_text(folder / "kept/a/002.json"));
  CHECK(second["seed"].asUInt64() == first["seed"].asUInt64() + 1);
  const Ended again = run_program(folder, {"compare", folder / "kept/a", folder / "kept/b"});
  CHECK(again.code == 0);
  CHECK(again.out_has("2 runs each\n"));
  const Ended single = run_program(folder, {"compare", folder / "kept/a/001.json", folder / "kept/b/001.json"});
  CHECK(single.out_has("one run each: no verdict"));
}

TEST_CASE("compare: wrong input is exit code 2 and says what would be right") {
  const TemporaryFolder folder;
  const std::string graph = write_tiny_graph(folder);
  write_text(folder / "r.json", R"({"schema": "lenet-flow.run/1", "images_per_second": 1})");
  write_text(folder / "v.json", R"({"schema": "lenet-flow.verify/1"})");
  struct Wrong {
    std::vector<std::string> arguments;
    std::string said;
  };
  const Wrong all[] = {
      {{graph, folder / "r.json"}, "expected two graph files, or two results"},
      {{folder / "v.json", folder / "r.json"}, "expected the result of a run or a profile"},
      {{graph, folder / "none.json"}, "none.json: no such file"},
      {{graph, graph, "--runs", "0"}, "expected a whole number from 1"},
      {{graph, graph, "--set-b", "pipeline.shedule=1f1b"}, "did you mean 'schedule'?"},
      {{folder.path().string(), graph}, "expected"},
      {{graph}, "OTHER"},
  };
  for (const Wrong& wrong : all) {
    std::vector<std::string> arguments{"compare"};
    arguments.insert(arguments.end(), wrong.arguments.begin(), wrong.arguments.end());
    const Ended ended = run_program(folder, arguments);
    CAPTURE(ended.err);
    CHECK(ended.code == 2);
    CHECK(ended.out == "");
    CHECK(ended.err_has(wrong.said));
  }
}

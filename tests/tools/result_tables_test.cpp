#include "tools/result_tables.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <limits>

using namespace lenet_flow;

namespace {

RunResult two_stages() {
  RunResult result;
  result.graph = "split";
  result.data_set = "mnist";
  result.images = 1000;
  result.seconds = 2;
  result.images_per_second = 500;
  result.wall_seconds = 3;
  result.test_accuracy = 0.9712;
  result.test_loss = 0.125;
  result.parameters_sha256 = "0123abcd";
  result.pipeline = {"gpipe", 2, 16, 4, 4, 0.25, 0.2};
  result.peak_resident_bytes = 64 << 20;
  StageResult first, second;
  first.name = "conv1..pool2";
  first.device = "gpu0";
  first.layers = {"conv1", "relu1", "pool1", "conv2", "relu2", "pool2"};
  first.images = 1000;
  first.seconds.compute = 1.5;
  first.seconds.starved = 0.499;
  first.seconds.sync = 0.001;
  second = first;
  second.name = "fc1";
  second.device = "cpu0";
  second.layers = {"fc1"};
  second.seconds = {};
  second.seconds.compute = 1;
  second.seconds.fill = 1;
  result.stages = {first, second};
  result.devices = {{"gpu0", "cuda 0", "1 core (0)", "no such GPU", {0}, -1, 4096}};
  result.epochs = {{1, 1000, 2, 0.5, 0.125, 0.9712, 0.05}};
  return result;
}

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("the table has compute and the states that are not nearly nothing, as shares of the time") {
  const std::string text = result_tables(two_stages(), "", false, Terminal{});
  for (const char* part : {"compute", "starved", "fill", "75.0%", "25.0%", "50.0%", "97.12%", "0123abcd", "mnist",
                           "gpipe", "64.0 MiB", "gpu0 4.0 KiB", "20.0% in theory"})
    CHECK_MESSAGE(has(text, part), part << " in:\n" << text);
  for (const char* part : {"sync", "drain", "no_credit", "checkpoint", "warning"}) CHECK(!has(text, part));
}

TEST_CASE("energy is shown where some is known, in all and an image") {
  RunResult result = two_stages();
  result.energy = {{"cpu_packages", std::nullopt, "no counter"}};
  CHECK(!has(result_tables(result, "", false, Terminal{}), "energy"));
  result.energy.push_back({"gpu0", 12.5, ""});
  CHECK(has(result_tables(result, "", false, Terminal{}), "energy         gpu0 12.5 J; 12.5 mJ an image\n"));
}

TEST_CASE("a line a stage says what recomputing saves and, without flush, how stale updates were") {
  RunResult result = two_stages();
  std::string text = result_tables(result, "", false, Terminal{});
  for (const char* part : {"recompute", "staleness"}) CHECK(!has(text, part));
  result.pipeline.weight_versions = "stashing";
  result.stages[0].weight_versions = 2;
  result.stages[0].staleness = {1, 1499};
  result.stages[1].staleness = {1500};
  result.stages[1].peak_bytes = 1 << 20;
  result.stages[1].bytes_without_recompute = 3 << 20;
  text = result_tables(result, "", false, Terminal{});
  for (const char* part :
       {"staleness      stashing, conv1..pool2: 2 versions of its parameters; updates behind by 0: 1, by 1: 1,499\n",
        "staleness      stashing, fc1: 1 version of its parameters; updates behind by 0: 1,500\n",
        "recompute      fc1 on cpu0: 1.0 MiB instead of 3.0 MiB, 2.0 MiB saved\n"})
    CHECK_MESSAGE(has(text, part), part << " in:\n" << text);
}

TEST_CASE("verbose: every state") {
  const std::string text = result_tables(two_stages(), "", true, Terminal{});
  for (const char* part : {"sync", "drain", "no_credit", "blocked", "contended", "transfer"}) CHECK(has(text, part));
}

TEST_CASE("many layers and many epochs are shortened unless all are asked for") {
  RunResult result = two_stages();
  for (int i = 7; i < 40; ++i) result.stages[0].layers.push_back("layer" + std::to_string(i));
  for (int i = 2; i <= 100; ++i) result.epochs.push_back({i, 1000, 2, 0.5, 0.25, 0.9, 0.05});
  const std::string text = result_tables(result, "", false, Terminal{});
  CHECK(has(text, "... layer39 (39)"));
  CHECK(!has(text, "layer20"));
  CHECK(std::count(text.begin(), text.end(), '\n') < 40);
  CHECK(has(text, "\n    6  "));
  CHECK(has(text, "\n  ..."));
  CHECK(has(text, "\n   95  "));
  CHECK(has(text, "\n  100  "));
  const std::string all = result_tables(result, "", true, Terminal{});
  CHECK(has(all, "layer20"));
  CHECK(has(all, "\n   50  "));
}

TEST_CASE("checkpoint and warnings close the summary; what is not known is a dash") {
  RunResult result = two_stages();
  result.warnings = {"device 'gpu0' is a CPU device instead"};
  result.test_loss = result.test_accuracy = std::numeric_limits<double>::quiet_NaN();
  result.seconds = 0;
  result.pipeline.bubble_theory.reset();
  const std::string text = result_tables(result, "saved/epoch-0001.safetensors", false, Terminal{});
  CHECK(has(text, "saved/epoch-0001.safetensors"));
  CHECK(has(text, "device 'gpu0' is a CPU device instead"));
  CHECK(!has(text, "nan"));
  CHECK(!has(text, "in theory"));
}

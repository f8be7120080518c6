// `verify` on every graph file that ships.
#include <doctest/doctest.h>
#include <json/json.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <sstream>

#include "tests/tools/tiny_set.h"

using namespace lenet_flow::test;

namespace {

namespace fs = std::filesystem;

std::vector<fs::path> shipped_graphs() {
  const char* root = std::getenv("LENET_FLOW_SOURCE");
  REQUIRE_MESSAGE(root != nullptr, "LENET_FLOW_SOURCE is the source folder; meson test sets it");
  std::vector<fs::path> graphs;
  for (const auto& entry : fs::directory_iterator(fs::path(root) / "graphs"))
    if (entry.path().extension() == ".json" && entry.path().filename() != "graph.schema.json")
      graphs.push_back(entry.path());
  std::sort(graphs.begin(), graphs.end());
  REQUIRE(!graphs.empty());
  return graphs;
}

/// The options that put a graph's work on this machine and make it short: micro-batches of two images, as many a batch
/// as in the file; a full batch and a short one an epoch.
std::vector<std::string> short_work(const Json::Value& graph) {
  std::vector<std::string> options;
  for (const std::string& device : graph["devices"].getMemberNames())
    if (graph["devices"][device]["kind"] == "cuda") {
      options.push_back("--map");
      options.push_back(device + "=cpu");
    }
  const std::int64_t batch = graph["training"]["batch"].asInt64();
  const std::int64_t micro_batch = graph["pipeline"].get("micro_batch", Json::Int64{batch}).asInt64();
  const std::int64_t micro_batches = (batch + micro_batch - 1) / micro_batch;
  const std::int64_t short_batch = 2 * micro_batches;
  options.insert(options.end(), {"--limit", std::to_string(short_batch + 3), "--set", "pipeline.micro_batch=2", "--set",
                                 "training.batch=" + std::to_string(short_batch)});
  return options;
}

/// Made-up images of the same shape where the set is not there. False where there are none of its shape.
bool stand_in(const TemporaryFolder& folder, const std::string& set, std::vector<std::string>& options) {
  const std::string name = "like_" + set;
  if (set == "mnist" || set == "fashion-mnist")
    write_tiny_set(folder, name, 40, 10, 28, 10);
  else if (set == "cifar10")
    write_tiny_cifar(folder, name, 40, 10);
  else
    return false;
  options.insert(options.end(), {"--set", "data.set=" + name});
  return true;
}

}  // namespace

TEST_CASE("verify passes on every graph file that ships, against sequential and layer by layer") {
  const char* data = std::getenv("LENET_FLOW_DATA");
  const TemporaryFolder folder;
  for (const fs::path& path : shipped_graphs()) {
    INFO(path.filename().string());
    Json::Value graph;
    std::istringstream(read_text(path)) >> graph;
    const std::string set = graph["data"]["set"].asString();
    std::vector<std::string> arguments{"verify", path.string()};
    const std::vector<std::string> work = short_work(graph);
    arguments.insert(arguments.end(), work.begin(), work.end());
    Program::Environment environment;
    if (data && fs::exists(fs::path(data) / set)) {
      environment["LENET_FLOW_DATA"] = data;
    } else if (!stand_in(folder, set, arguments)) {
      MESSAGE("not verified: data set '" << set << "' is not there");
      continue;
    }
    std::vector<std::string> by_sequential = arguments, by_layer = arguments;
    by_sequential.insert(by_sequential.end(), {"--steps", "3"});  // an epoch, and a batch of the next
    const Ended ended = run_program(folder, by_sequential, environment);
    CHECK_MESSAGE(ended.code == 0, ended.err << ended.out);
    CHECK_MESSAGE(ended.out_has("equal: 3 steps by"), ended.out);
    by_layer.insert(by_layer.end(), {"--reference", "cpu"});
    const Ended layers = run_program(folder, by_layer, environment);
    CHECK_MESSAGE(layers.code == 0, layers.err << layers.out);
  }
}

// The graph files that ship, and the schema that editors complete them from.
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <set>
#include <sstream>

#include "tests/engine/graph/support.h"

using namespace lenet_flow;
using namespace lenet_flow::graph_test;

namespace {

namespace fs = std::filesystem;

const fs::path folder = LENET_FLOW_GRAPHS;

std::string content(const fs::path& path) {
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

std::set<std::string> shipped() {
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder))
    if (entry.path().extension() == ".json" && entry.path().filename() != "graph.schema.json")
      names.insert(entry.path().stem().string());
  return names;
}

struct SetFacts {
  Shape shape;
  std::int64_t classes;
};

SetFacts facts_of(const std::string& set) {
  if (set == "mnist") return {{1, 28, 28}, 10};
  if (set == "cifar10") return {{3, 32, 32}, 10};
  if (set == "cats-dogs") return {{3, 100, 100}, 2};
  FAIL("a shipped graph names the set " << set);
  return {};
}

Network shipped_network(const std::string& name, GraphFile* read = nullptr) {
  const GraphFile file = read_graph_file(folder / (name + ".json"));
  if (read) *read = file;
  const SetFacts facts = facts_of(file.data.set);
  return make_network(file, facts.shape, facts.classes);
}

}  // namespace

TEST_CASE("Every file that should ship does, is right, named after itself and begins with its purpose") {
  CHECK(shipped() == std::set<std::string>{"busy", "lenet5", "lenet5_channel_split", "lenet5_cifar",
                                           "lenet5_data_parallel", "lenet5_four_stages", "lenet5_hybrid",
                                           "lenet5_two_cores", "lenet5_two_gpus", "lenet5_zero_bubble",
                                           "residual_mnist", "seed_cnn", "split_conv_gpu", "wide_cnn"});
  for (const std::string& name : shipped()) {
    CAPTURE(name);
    GraphFile file;
    const Network network = shipped_network(name, &file);
    CHECK(file.name == name);
    CHECK(file.warnings.empty());
    CHECK(content(folder / (name + ".json")).starts_with("// "));
    const bool has_parts = std::any_of(file.layers.begin(), file.layers.end(),
                                       [](const LayerEntry& layer) { return !layer.split.empty(); });
    if (!has_parts) CHECK(network.stages.size() <= file.devices.size());
    CHECK(file.pipeline.micro_batch < file.training.batch);
  }
}

TEST_CASE("The LeNet-5 files on MNIST differ in devices, placement and pipeline only") {
  // Compared as text: cut "name", "devices", each layer's device and "pipeline" out.
  const auto common = [](const std::string& name) {
    std::string text, line;
    std::ifstream file(folder / (name + ".json"));
    bool in_devices = false;
    while (std::getline(file, line) && !line.starts_with("  \"pipeline\"")) {
      if (line.starts_with("//") || line.starts_with("  \"name\"")) continue;
      if (line.starts_with("  \"devices\"")) in_devices = true;
      if (!in_devices) {
        const std::size_t device = line.find(", \"device\": \"");
        text += device == std::string::npos ? line : line.substr(0, device);
        text += '\n';
      }
      if (line == "  },") in_devices = false;
    }
    return text;
  };
  const std::string expected = common("lenet5");
  CHECK(expected.find("conv2") != std::string::npos);
  CHECK(expected.find("momentum") != std::string::npos);
  for (const char* name : {"lenet5_two_cores", "lenet5_four_stages", "split_conv_gpu", "lenet5_data_parallel",
                           "lenet5_zero_bubble", "lenet5_channel_split", "lenet5_hybrid"}) {
    CAPTURE(name);
    CHECK(common(name) == expected);
    GraphFile file, other;
    shipped_network(name, &file);
    shipped_network("lenet5", &other);
    CHECK(file.pipeline.micro_batch == other.pipeline.micro_batch);
  }
}

TEST_CASE("What the files are for is what they have") {
  CHECK(shipped_network("lenet5").stages.size() == 1);
  CHECK(shipped_network("lenet5_two_cores").stages.size() == 2);
  CHECK(shipped_network("lenet5_four_stages").stages.size() == 4);
  const Network split = shipped_network("split_conv_gpu");
  REQUIRE(split.stages.size() == 2);
  CHECK(split.stages[0].name == "conv1..pool2");
  CHECK(split.stages[0].devices.front() == "gpu0");
  CHECK(split.stages[1].devices.front() == "cpu0");
  const Network whole = shipped_network("lenet5_data_parallel");
  REQUIRE(whole.stages.size() == 1);
  CHECK(whole.stages[0].devices == std::vector<std::string>{"cpu0", "cpu1"});
  const Network hybrid = shipped_network("lenet5_hybrid");
  CHECK(hybrid.stages[0].devices.size() == 2);
  for (const char* name : {"lenet5_hybrid", "lenet5_channel_split"}) {
    const Network divided = shipped_network(name);
    CHECK(std::count_if(divided.layers.begin(), divided.layers.end(),
                        [](const NetworkLayer& layer) { return layer.part.join >= 0; }) == 2);
  }
  GraphFile zero_bubble;
  CHECK(shipped_network("lenet5_zero_bubble", &zero_bubble).stages.size() == 2);
  CHECK(zero_bubble.pipeline.schedule == "zero_bubble_h2");
  const Network busy = shipped_network("busy");
  REQUIRE(busy.stages.size() == 2);
  for (const int layer : {3, 4}) {
    CHECK(busy.layers[static_cast<std::size_t>(layer)].type == "busy");
    CHECK(busy.layers[static_cast<std::size_t>(layer)].needs_input_gradients);
  }
  const Network seed = shipped_network("seed_cnn");
  CHECK(seed.layers.back().folded);
  CHECK(seed.layers[6].output_shape == Shape{32 * 23 * 23});
  const Network residual = shipped_network("residual_mnist");
  REQUIRE(residual.stages.size() == 2);
  CHECK(residual.links.back().layers.size() == 2);  // the main way and the skip connection
}

TEST_CASE("The two stages of wide_cnn are balanced") {
  const Network network = shipped_network("wide_cnn");
  REQUIRE(network.stages.size() == 2);
  std::vector<double> flops;
  for (const Stage& stage : network.stages) {
    flops.push_back(0);
    for (const int layer : stage.layers) flops.back() += network.layers[static_cast<std::size_t>(layer)].flops.forward;
  }
  CHECK(flops[0] / flops[1] == doctest::Approx(1.0).epsilon(0.05));
}

TEST_CASE("graphs/graph.schema.json is what the program's registries say") {
  const fs::path path = folder / "graph.schema.json";
  if (std::getenv("LENET_FLOW_WRITE_SCHEMA")) std::ofstream(path) << graph_schema();
  const bool current = content(path) == graph_schema();
  CHECK_MESSAGE(current,
                "out of date; to write it anew: LENET_FLOW_WRITE_SCHEMA=1 meson test -C build 'graph shipped_graphs'");
}

// Making the network: order, cycles, shapes, sizes, outputs, the loss.
#include "engine/graph/network.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "engine/graph/graphviz.h"
#include "tests/engine/graph/support.h"

using namespace lenet_flow;
using namespace lenet_flow::graph_test;

namespace {

std::string layers_text(const std::string& layers) {
  Parts parts;
  parts.layers = "\"layers\": [\n" + layers + "]";
  return parts.text();
}

Network network_of(const std::string& layers, const Shape& input = {1, 28, 28}, std::int64_t classes = 10) {
  return make_network(parse_graph_file(layers_text(layers), "g.json"), input, classes);
}

Lines errors_with(const std::string& layers, const Shape& input = {1, 28, 28}, std::int64_t classes = 10) {
  return network_errors_of(layers_text(layers), input, classes);
}

const std::string lenet5 = R"(
  {"name": "conv1", "type": "conv2d", "out_channels": 6, "kernel": 5, "padding": 2},
  {"name": "relu1", "type": "relu"}, {"name": "pool1", "type": "max_pool", "kernel": 2},
  {"name": "conv2", "type": "conv2d", "out_channels": 16, "kernel": 5},
  {"name": "relu2", "type": "relu"}, {"name": "pool2", "type": "max_pool", "kernel": 2},
  {"name": "flat", "type": "flatten"}, {"name": "fc1", "type": "dense", "out_features": 120},
  {"name": "relu3", "type": "relu"}, {"name": "fc2", "type": "dense", "out_features": 84},
  {"name": "relu4", "type": "relu"}, {"name": "fc3", "type": "dense", "out_features": 10})";

}  // namespace

TEST_CASE("LeNet-5's shapes and parameters") {
  const Network network = network_of(lenet5);
  std::vector<std::string> shapes;
  std::int64_t parameters = 0;
  for (const NetworkLayer& layer : network.layers) {
    shapes.push_back(layer.output_shape.text());
    for (const ParameterSpec& spec : layer.parameters) parameters += spec.elements();
  }
  CHECK(shapes == Lines{"6x28x28", "6x28x28", "6x14x14", "16x10x10", "16x10x10", "16x5x5", "400", "120", "120", "84",
                        "84", "10"});
  CHECK(parameters == 61706);  // the classic count
  CHECK(network.output_layer == 11);
  CHECK(network.order.size() == 12);
  CHECK(network.stages.size() == 1);
  REQUIRE(network.links.size() == 1);
  CHECK(network.links[0].name == "reader->conv1..fc3");
  // Nobody needs the gradient of the input: conv1 has no layer with parameters before it.
  CHECK_FALSE(network.layers[0].needs_input_gradients);
  CHECK(network.layers[1].needs_input_gradients);
  CHECK(network.layers[3].consumers == std::vector<std::pair<int, int>>{{4, 0}});
}

TEST_CASE("Layers without parameters before the first with some need no gradients of their inputs") {
  const Network network =
      network_of(R"({"name": "p", "type": "avg_pool", "kernel": 2}, {"name": "f", "type": "flatten"},
    {"name": "a", "type": "dense", "out_features": 5}, {"name": "r", "type": "relu"}, {"name": "b", "type": "dense", "out_features": 10})");
  std::vector<bool> needs;
  for (const NetworkLayer& layer : network.layers) needs.push_back(layer.needs_input_gradients);
  CHECK(needs == std::vector<bool>{false, false, false, true, true});
}

TEST_CASE("Layers may stand in any order; consumers are in the order of the file") {
  const Network network = network_of(R"({"name": "fc", "type": "dense", "out_features": 10, "after": "sum"},
    {"name": "sum", "type": "add", "after": ["b", "a", "b"]}, {"name": "a", "type": "relu", "after": "flat"},
    {"name": "b", "type": "tanh", "after": "flat"}, {"name": "flat", "type": "flatten", "after": "input"})");
  CHECK(network.order == std::vector<int>{4, 2, 3, 1, 0});
  CHECK(network.layers[4].consumers == std::vector<std::pair<int, int>>{{2, 0}, {3, 0}});
  CHECK(network.layers[3].consumers == std::vector<std::pair<int, int>>{{1, 0}, {1, 2}});
  CHECK(network.layers[2].consumers == std::vector<std::pair<int, int>>{{1, 1}});
  CHECK(network.layers[4].producers == std::vector<int>{network_input});
  CHECK(network.output_layer == 0);
}

TEST_CASE("Cycles are named, each once") {
  CHECK(errors_with(R"({"name": "a", "type": "relu", "after": "a"})") ==
        Lines{"g.json:6:1: layers.a.after: the layers make a cycle: a -> a"});
  CHECK(errors_with(R"({"name": "a", "type": "add", "after": ["input", "c"]},
{"name": "b", "type": "relu"},
{"name": "c", "type": "relu"},
{"name": "x", "type": "add", "after": ["c", "y"]},
{"name": "y", "type": "relu"},
{"name": "fc", "type": "flatten"})") == Lines{"g.json:6:1: layers.a.after: the layers make a cycle: a -> b -> c -> a",
                                              "g.json:9:1: layers.x.after: the layers make a cycle: x -> y -> x"});
}

TEST_CASE("Long cycles are shortened") {
  std::string layers = R"({"name": "l0", "type": "relu", "after": "l9999"})";
  for (int i = 1; i < 10000; ++i) layers += fmt::format(",\n{{\"name\": \"l{}\", \"type\": \"relu\"}}", i);
  const Lines lines = errors_with(layers);
  REQUIRE(lines.size() == 1);
  CHECK(lines[0] ==
        "g.json:6:1: layers.l0.after: the layers make a cycle: l0 -> l1 -> l2 -> l3 -> l4 -> l5 -> ... (9989 more) -> "
        "l9995 -> l9996 -> l9997 -> l9998 -> l9999 -> l0");
}

TEST_CASE("Shapes that do not fit: both, and which layer made each") {
  const Lines add = errors_with(R"({"name": "a", "type": "conv2d", "out_channels": 6, "kernel": 5},
    {"name": "b", "type": "conv2d", "out_channels": 6, "kernel": 3, "after": "input"},
{"name": "sum", "type": "add", "after": ["a", "b"]},
    {"name": "flat", "type": "flatten"}, {"name": "fc", "type": "dense", "out_features": 10})");
  REQUIRE(add.size() == 1);  // what lies behind the error has no errors of its own
  CHECK(add[0].starts_with("g.json:8:1: layers.sum: "));
  CHECK(add[0].ends_with("; its inputs are 6x24x24 made by 'a', 6x26x26 made by 'b'"));
  const Lines dense = errors_with(R"({"name": "fc", "type": "dense", "out_features": 10})");
  REQUIRE(dense.size() == 1);
  CHECK(dense[0].ends_with("its input is 1x28x28 the network's input (data set 'mnist')"));
  const Lines two = errors_with(R"({"name": "a", "type": "conv2d", "out_channels": 6, "kernel": 99},
    {"name": "b", "type": "conv2d", "out_channels": 7, "kernel": 3, "groups": 2, "after": "input"},
    {"name": "c", "type": "concat", "after": ["a", "b"]})");
  CHECK(two.size() == 2);
}

TEST_CASE("Absurd sizes are lines, not crashes or waits") {
  const auto start = std::chrono::steady_clock::now();
  CHECK(
      errors_with(
          R"({"name": "a", "type": "conv2d", "out_channels": 1048576, "kernel": 1, "padding": 1000}, {"name": "f", "type": "flatten"})")
          .size() == 1);
  CHECK(errors_with(R"({"name": "f", "type": "flatten"}, {"name": "a", "type": "dense", "out_features": 1048576},
    {"name": "b", "type": "dense", "out_features": 1048576}, {"name": "d", "type": "dense", "out_features": 10})")
            .size() == 1);
  CHECK(errors_with(lenet5, {1, 1000000000, 1000000000}).size() == 1);
  CHECK(errors_with(lenet5, {0, 28, 28}).size() == 1);
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(2));
}

TEST_CASE("Parameters that fit no memory are a line at the layer with which they cease to fit") {
  std::string layers = R"({"name": "f", "type": "flatten"})";
  for (int i = 0; i < 2000; ++i)  // 8 GiB each
    layers += fmt::format(R"(,{{"name": "l{}", "type": "dense", "out_features": {}}})", i, i % 2 == 0 ? 32768 : 65535);
  const Lines lines = errors_with(layers + R"(, {"name": "last", "type": "dense", "out_features": 10})");
  REQUIRE(lines.size() == 1);
  CHECK(lines[0].find(": its parameters take 8 GiB, with those of the layers before it ") != std::string::npos);
}

TEST_CASE("A micro-batch whose activations fit no memory") {
  Parts parts;
  parts.training = R"("training": {"batch": 1048576})";
  parts.pipeline = R"("pipeline": {"micro_batch": 1048576})";
  const Lines lines = network_errors_of(parts.text(), {1024, 1024, 16});
  REQUIRE(lines.size() == 1);
  CHECK(lines[0].starts_with(
      "g.json:8:29: pipeline.micro_batch: the activations of one micro-batch of 1048576 images take 6.55e+04 GiB"));
}

TEST_CASE("Outputs that nobody reads") {
  CHECK(errors_with(R"({"name": "flat", "type": "flatten"},
{"name": "side", "type": "relu"},
    {"name": "fc", "type": "dense", "out_features": 10, "after": "flat"})") ==
        Lines{"g.json:7:1: layers.side: nobody reads its output; expected it in some layer's \"after\" (the network's "
              "output is that of "
              "'fc', the last such layer)"});
}

TEST_CASE("A loss that does not fit") {
  const Lines lines =
      errors_with(R"({"name": "flat", "type": "flatten"}, {"name": "fc", "type": "dense", "out_features": 9})");
  REQUIRE(lines.size() == 1);
  CHECK(lines[0].starts_with("g.json:7:9: loss: softmax_cross_entropy needs one output a class: 10, got 9"));
  CHECK(lines[0].ends_with("; the output is made by 'fc'"));
}

TEST_CASE("A sigmoid right before binary cross-entropy is folded into it") {
  Parts parts;
  parts.loss = R"("loss": {"type": "binary_cross_entropy"})";
  parts.layers =
      R"("layers": [{"name": "f", "type": "flatten"}, {"name": "fc", "type": "dense", "out_features": 1}, {"name": "s", "type": "sigmoid"}])";
  const Network network = make_network(parse_graph_file(parts.text(), "g.json"), {3, 10, 10}, 2);
  CHECK(network.layers[2].folded);
  CHECK_FALSE(network.layers[1].folded);
  CHECK(graphviz(network).find("sigmoid (in the loss)") != std::string::npos);
  CHECK(network_errors_of(parts.text(), {3, 10, 10}, 10).size() == 1);
}

TEST_CASE("Ten thousand layers take under two seconds, with skip connections too") {
  std::string layers = R"({"name": "l0", "type": "flatten"})";
  for (int i = 1; i < 9999; ++i)
    layers +=
        i % 3 == 0
            ? fmt::format(
                  ",\n{{\"name\": \"l{0}\", \"type\": \"add\", \"after\": [\"l{1}\", \"l{2}\"], \"device\": \"d{3}\"}}",
                  i, i - 1, i - 3, i % 2)
            : fmt::format(",\n{{\"name\": \"l{0}\", \"type\": \"relu\", \"device\": \"d{1}\"}}", i, i % 2);
  layers += R"(, {"name": "fc", "type": "dense", "out_features": 10, "device": "d0"})";
  Parts parts;
  parts.devices = R"("devices": {"d0": {"kind": "cpu"}, "d1": {"kind": "cpu"}})";
  parts.layers = "\"layers\": [\n" + layers + "]";
  parts.layers.replace(parts.layers.find("\"flatten\""), 9, "\"flatten\", \"device\": \"d0\"");
  const auto start = std::chrono::steady_clock::now();
  const Network network = make_network(parse_graph_file(parts.text(), "g.json"), {1, 28, 28}, 10);
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(2));
  CHECK(network.layers.size() == 10000);
  CHECK(network.stages.size() > 1000);
}

TEST_CASE("Graphviz gets every layer, stage and edge") {
  const std::string dot = graphviz(network_of(lenet5));
  CHECK(dot.starts_with("digraph network {\n"));
  CHECK(dot.ends_with("}\n"));
  CHECK(dot.find("subgraph cluster_stage0 {") != std::string::npos);
  CHECK(dot.find("label=\"stage 0: conv1..fc3 on cpu0\"") != std::string::npos);
  CHECK(dot.find("layer3 [label=\"conv2\\nconv2d\\n16x10x10\"]") != std::string::npos);
  CHECK(dot.find("input -> layer0 [label=\"1x28x28\"]") != std::string::npos);
  CHECK(dot.find("layer2 -> layer3 [label=\"6x14x14\"]") != std::string::npos);
  CHECK(dot.find("layer11 -> loss") != std::string::npos);
  CHECK(std::count(dot.begin(), dot.end(), '{') == std::count(dot.begin(), dot.end(), '}'));
}

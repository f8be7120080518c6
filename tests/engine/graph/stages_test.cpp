// Cutting a network into stages: by device, by hand, and that the stages never make a cycle.
#include <fmt/format.h>

#include <algorithm>
#include <random>
#include <set>

#include "tests/engine/graph/support.h"

using namespace lenet_flow;
using namespace lenet_flow::graph_test;

namespace {

/// A network of elementwise layers: "name device after after ..." a layer, of type relu, or add with several inputs.
std::string text_of(const std::vector<std::string>& layers, const std::string& pipeline = "\"pipeline\": {}") {
  Parts parts;
  parts.devices = R"("devices": {"p": {"kind": "cpu"}, "q": {"kind": "cpu"}, "r": {"kind": "cpu"}})";
  parts.layers = R"("layers": [{"name": "flat", "type": "flatten", "device": "p"})";
  std::string last;
  for (const std::string& line : layers) {
    std::vector<std::string> words{""};
    for (const char letter : line)
      if (letter == ' ')
        words.emplace_back();
      else
        words.back() += letter;
    std::string after;
    for (std::size_t i = 2; i < words.size(); ++i) after += (i > 2 ? ", \"" : "\"") + words[i] + "\"";
    parts.layers += fmt::format(",\n{{\"name\": \"{}\", \"type\": \"{}\", \"device\": \"{}\", \"after\": [{}]}}",
                                words[0], words.size() > 3 ? "add" : "relu", words[1], after);
  }
  parts.layers += "]";
  parts.pipeline = pipeline;
  return parts.text();
}

Network cut(const std::vector<std::string>& layers, const std::string& pipeline = "\"pipeline\": {}") {
  return make_network(parse_graph_file(text_of(layers, pipeline), "g.json"), {10, 1, 1}, 10);
}

Lines stage_names(const Network& network) {
  Lines names;
  for (const Stage& stage : network.stages) names.push_back(stage.name);
  return names;
}

Lines link_names(const Network& network) {
  Lines names;
  for (const Link& link : network.links) names.push_back(link.name);
  return names;
}

/// What any cut must keep, looked at without the algorithm: one device a stage, every layer in one stage, stages in a
/// topological order, layers of a stage after their producers.
void check_cut(const Network& network) {
  std::set<int> seen;
  for (std::size_t s = 0; s < network.stages.size(); ++s) {
    for (const int number : network.stages[s].layers) {
      const NetworkLayer& layer = network.layers[static_cast<std::size_t>(number)];
      REQUIRE(layer.stage == static_cast<int>(s));
      REQUIRE(layer.device == network.stages[s].devices.front());
      for (const int producer : layer.producers) {
        if (producer == network_input) continue;
        REQUIRE(seen.contains(producer));
        REQUIRE(network.layers[static_cast<std::size_t>(producer)].stage <= static_cast<int>(s));
      }
      REQUIRE(seen.insert(number).second);
    }
  }
  REQUIRE(seen.size() == network.layers.size());
}

/// Whether two stages could be one with no cycle: no way from the one to the other goes through a third.
bool could_be_one(const Network& network, int a, int b) {
  std::set<int> reached{a};
  bool through_third = false;
  for (bool grown = true; grown;) {
    grown = false;
    for (const Link& link : network.links) {
      if (link.from == network_input || !reached.contains(link.from)) continue;
      if (link.to == b && link.from != a) through_third = true;
      if (link.to != b && reached.insert(link.to).second) grown = true;
    }
  }
  return !through_third;
}

}  // namespace

TEST_CASE("Neighbours on one device are one stage, cut where the device changes") {
  const Network network = cut({"a p flat", "b q a", "c q b", "d p c"});
  CHECK(stage_names(network) == Lines{"flat..a", "b..c", "d"});
  CHECK(link_names(network) == Lines{"reader->flat..a", "flat..a->b..c", "b..c->d"});
  CHECK(network.links[1].layers == std::vector<int>{1});
  CHECK(network.links[0].layers.empty());
  CHECK(network.stages[2].devices.front() == "p");
  check_cut(network);
}

TEST_CASE("A skip connection around another device does not join the ends") {
  const Network network = cut({"a q flat", "sum p flat a"});
  CHECK(stage_names(network) == Lines{"flat", "a", "sum"});
  CHECK(link_names(network) == Lines{"reader->flat", "flat->a", "flat->sum", "a->sum"});
}

TEST_CASE("A skip connection across a cut is a link of its own layers, each once") {
  const Network network = cut({"a p flat", "b p a", "c q b", "sum q c a", "sum2 q sum a"});
  CHECK(stage_names(network) == Lines{"flat..b", "c..sum2"});
  REQUIRE(network.links.size() == 2);
  CHECK(network.links[1].layers == std::vector<int>{1, 2});
}

TEST_CASE("Neighbours are joined though another input comes from further on") {
  // sum is next to flat on p; a on q reads the input alone, so flat and sum can be one stage.
  const Network network = cut({"a q input", "sum p flat a"});
  CHECK(stage_names(network) == Lines{"a", "flat..sum"});
  CHECK(link_names(network) == Lines{"reader->a", "reader->flat..sum", "a->flat..sum"});
}

TEST_CASE("Branches on one device that never meet there are stages of their own") {
  const Network network = cut({"a q flat", "b q flat", "sum p a b"});
  CHECK(stage_names(network) == Lines{"flat", "a", "b", "sum"});
}

TEST_CASE("Random graphs: never a cycle, and never two neighbours apart that could be one stage") {
  std::mt19937 random(20240607);
  for (int round = 0; round < 400; ++round) {
    CAPTURE(round);
    const int count = 3 + static_cast<int>(random() % 14);
    std::vector<std::string> layers;
    for (int i = 0; i < count; ++i) {
      std::string line = fmt::format("n{} {}", i, "pqr"[random() % (2 + random() % 2)]);
      const int inputs = 1 + static_cast<int>(random() % 3);
      for (int k = 0; k < inputs; ++k) {
        const int from = static_cast<int>(random() % static_cast<unsigned>(i + 2)) - 2;
        line += from == -2 ? " flat" : from == -1 ? " flat" : fmt::format(" n{}", from);
      }
      layers.push_back(line);
    }
    std::string last = "last p";  // reads everything that nobody else reads
    for (int i = 0; i < count; ++i) last += fmt::format(" n{}", i);
    layers.push_back(last);
    const Network network = cut(layers);
    check_cut(network);
    for (const Link& link : network.links) {
      if (link.from == network_input) continue;
      const Stage &from = network.stages[static_cast<std::size_t>(link.from)],
                  &to = network.stages[static_cast<std::size_t>(link.to)];
      if (from.devices.front() == to.devices.front()) CHECK_FALSE(could_be_one(network, link.from, link.to));
    }
  }
}

TEST_CASE("Stages by hand") {
  const std::string hand =
      R"("pipeline": {"stages": [{"name": "head", "layers": ["c", "d"]}, {"layers": ["flat"]}, {"layers": ["b", "a"]}]})";
  const Network network = cut({"a p flat", "b p a", "c p b", "d p c"}, hand);
  CHECK(stage_names(network) == Lines{"flat", "a..b", "head"});
  check_cut(network);
}

TEST_CASE("Stages by hand that are wrong") {
  const auto errors = [](const std::string& stages) {
    return network_errors_of(text_of({"a p flat", "b q a", "c p b"}, "\"pipeline\": {\"stages\": [" + stages + "]}"),
                             {10, 1, 1});
  };
  CHECK(errors(R"({"layers": ["flat", "a"]}, {"layers": ["b"]})") ==
        Lines{"g.json:8:1: layers.c: is in no stage; expected every layer in exactly one stage of pipeline.stages"});
  CHECK(errors(R"({"layers": ["flat", "a", "b"]}, {"layers": ["c"]})") ==
        Lines{"g.json:11:25: pipeline.stages: stage 'flat..b' mixes devices: 'flat' is on 'p', 'b' on 'q'; expected "
              "one device a stage"});
  CHECK(errors(R"({"name": "x", "layers": ["flat", "a", "c"]}, {"layers": ["b"]})") ==
        Lines{"g.json:11:25: pipeline.stages: the stages make a cycle: x -> b -> x"});
}

#pragma once

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "engine/graph/graph_file.h"
#include "engine/graph/network.h"

namespace lenet_flow::graph_test {

/// The parts of a small right file, each to be replaced by a test. Line 1 is '{', then a line a part.
struct Parts {
  std::string version = R"("version": 1)";
  std::string devices = R"("devices": {"cpu0": {"kind": "cpu"}})";
  std::string data = R"("data": {"set": "mnist"})";
  std::string layers =
      R"("layers": [{"name": "flat", "type": "flatten"}, {"name": "fc", "type": "dense", "out_features": 10}])";
  std::string loss = R"("loss": {"type": "softmax_cross_entropy"})";
  std::string training = R"("training": {"epochs": 2, "batch": 64})";
  std::string pipeline = R"("pipeline": {"micro_batch": 16})";
  std::string more = R"("name": "small")";

  std::string text() const {
    std::string text = "{";
    for (const std::string* part : {&version, &devices, &data, &layers, &loss, &training, &pipeline, &more})
      if (!part->empty()) text += (text.size() > 1 ? ",\n" : "\n") + *part;
    return text + "\n}\n";
  }
};

inline std::vector<std::string> lines_of(const InputError& error) {
  std::vector<std::string> lines;
  for (const Diagnostic& diagnostic : error.diagnostics()) lines.push_back(diagnostic.text());
  return lines;
}

/// What parse_graph_file() says of `text`: one line an error; none where it is right.
inline std::vector<std::string> errors_of(const std::string& text, const GraphOptions& options = {}) {
  try {
    parse_graph_file(text, "g.json", options);
  } catch (const InputError& error) {
    return lines_of(error);
  }
  return {};
}

/// The same for making the network.
inline std::vector<std::string> network_errors_of(const std::string& text, const Shape& input = {1, 28, 28},
                                                  std::int64_t classes = 10) {
  const GraphFile file = parse_graph_file(text, "g.json");
  try {
    make_network(file, input, classes);
  } catch (const InputError& error) {
    return lines_of(error);
  }
  return {};
}

using Lines = std::vector<std::string>;

}  // namespace lenet_flow::graph_test

namespace doctest {
template <>
struct StringMaker<std::vector<std::string>> {
  static String convert(const std::vector<std::string>& lines) {
    std::string text = "\n";
    for (const std::string& line : lines) text += "  " + line + "\n";
    return text.c_str();
  }
};
}  // namespace doctest

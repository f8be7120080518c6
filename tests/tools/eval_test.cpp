#include <doctest/doctest.h>
#include <json/json.h>

#include <algorithm>
#include <sstream>

#include "tests/tools/tiny_set.h"

using namespace lenet_flow::test;

namespace {

std::vector<std::string> fields(const std::string& line) {
  std::vector<std::string> list;
  std::istringstream stream(line);
  for (std::string field; std::getline(stream, field, ',');) list.push_back(field);
  return list;
}

/// A folder with tiny.json and the parameters of one epoch.
struct Trained {
  TemporaryFolder folder;
  std::string graph = write_tiny_graph(folder);
  std::string parameters = folder / "saved/epoch-0001.safetensors";
  Trained() {
    REQUIRE(run_program(folder, {"run", graph, "--epochs", "1", "--checkpoint", folder / "saved"}).code == 0);
  }
};

}  // namespace

TEST_CASE("eval: accuracy, loss and a row of probabilities an image") {
  const Trained trained;
  const std::string csv_path = trained.folder / "predictions.csv";
  const Ended ended = run_program(trained.folder, {"eval", trained.graph, "--parameters", trained.parameters,
                                                   "--predictions", csv_path, "--json", "-"});
  REQUIRE_MESSAGE(ended.code == 0, ended.err);
  Json::Value json;
  std::istringstream(ended.out) >> json;
  CHECK(json["schema"] == "lenet-flow.eval/1");
  CHECK(json["images"] == 32);

  std::istringstream csv(read_text(csv_path));
  std::string line;
  REQUIRE(std::getline(csv, line));
  const auto header = fields(line);
  REQUIRE(header.size() == 7);
  CHECK(header[0] == "index");
  CHECK(header[1] == "label");
  CHECK(header[2] == "predicted");
  int rows = 0, right = 0;
  for (; std::getline(csv, line); ++rows) {
    const auto row = fields(line);
    REQUIRE(row.size() == 7);
    CHECK(row[0] == std::to_string(rows));
    CHECK(row[1] == std::to_string(rows * 7 % 4));
    std::vector<double> probabilities;
    for (std::size_t i = 3; i < 7; ++i) probabilities.push_back(std::stod(row[i]));
    CHECK(probabilities[0] + probabilities[1] + probabilities[2] + probabilities[3] == doctest::Approx(1.0));
    const auto best = std::max_element(probabilities.begin(), probabilities.end()) - probabilities.begin();
    CHECK(row[2] == std::to_string(best));
    right += row[1] == row[2];
  }
  CHECK(rows == 32);
  CHECK(json["test_accuracy"].asDouble() == right / 32.0);
}

TEST_CASE("eval says what run said of the same parameters") {
  const Trained trained;
  const Ended run = run_program(trained.folder, {"run", trained.graph, "--epochs", "1", "--json", "-"});
  const Ended eval =
      run_program(trained.folder, {"eval", trained.graph, "--parameters", trained.parameters, "--json", "-"});
  Json::Value ran, evaluated;
  std::istringstream(run.out) >> ran;
  std::istringstream(eval.out) >> evaluated;
  CHECK(ran["test_loss"].asDouble() == evaluated["test_loss"].asDouble());
  CHECK(ran["test_accuracy"].asDouble() == evaluated["test_accuracy"].asDouble());
  const Ended text = run_program(trained.folder, {"eval", trained.graph, "--parameters", trained.parameters});
  CHECK(text.code == 0);
  CHECK(text.out_has("test accuracy"));
}

TEST_CASE("eval: wrong input") {
  const Trained trained;
  const auto code = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"eval", trained.graph});
    return run_program(trained.folder, arguments).code;
  };
  CHECK(code({"--parameters", trained.folder / "nowhere.safetensors"}) == 2);
  CHECK(code({"--parameters", trained.graph}) == 2);
  CHECK(code({"--parameters", trained.parameters, "--set", "layers.conv.out_channels=5"}) == 2);
  CHECK(code({"--parameters", trained.parameters, "--predictions", trained.folder / "no/predictions.csv"}) == 2);
  CHECK(code({"--parameters", trained.parameters, "--set", "data.set=nothing"}) == 3);
  CHECK(!std::filesystem::exists(trained.folder / "no"));
}

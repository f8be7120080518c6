#include "tools/verify.h"

#include <doctest/doctest.h>
#include <json/json.h>

#include <sstream>

#include "tests/tools/tiny_set.h"

using namespace lenet_flow;
using namespace lenet_flow::test;

namespace {

Verification one_difference() {
  Verification verification;
  verification.schedule = "gpipe";
  verification.steps = 100;
  verification.parameters = 4;
  verification.elements = 1234;
  verification.differences = {{"conv1.weight", 150, 7, 1.5e-7}};
  verification.sha256 = "aa";
  verification.reference_sha256 = "bb";
  return verification;
}

}  // namespace

TEST_CASE("a difference is exit code 4 and says which parameter, how many elements, how much") {
  const Verification verification = one_difference();
  CHECK(exit_code_of(verification) == ExitCode::limit_exceeded);
  const std::string text = verification_text(verification, Terminal{});
  for (const char* part : {"different", "1 of 4 parameters", "conv1.weight", "150", "7", "1.5e-07"})
    CHECK_MESSAGE(text.find(part) != std::string::npos, part << " in:\n" << text);
  Json::Value json;
  std::istringstream(verification_json(verification, "a.json")) >> json;
  CHECK(json["schema"] == "lenet-flow.verify/1");
  CHECK(json["equal"] == false);
  CHECK(json["differences"][0]["different"] == 7);
  CHECK(json["differences"][0]["largest"].asDouble() == 1.5e-7);
}

TEST_CASE("no difference is exit code 0") {
  Verification verification = one_difference();
  verification.differences.clear();
  CHECK(exit_code_of(verification) == ExitCode::done);
  CHECK(verification_text(verification, Terminal{}).starts_with("equal: 100 steps by 'gpipe'"));
}

TEST_CASE("verify: gpipe on two devices equals sequential") {
  const TemporaryFolder folder;
  const std::string graph = write_tiny_graph(folder);
  const Ended whole = run_program(folder, {"verify", graph, "--set", "pipeline.micro_batch=5"});
  CHECK_MESSAGE(whole.code == 0, whole.err);
  CHECK(whole.out_has("equal: 4 steps"));
  const Ended steps = run_program(folder, {"verify", graph, "--steps", "3", "--json", "-"});
  CHECK_MESSAGE(steps.code == 0, steps.err);
  Json::Value json;
  std::istringstream(steps.out) >> json;
  CHECK(json["equal"] == true);
  CHECK(json["steps"] == 3);
  CHECK(json["parameters"] == 4);
  CHECK(json["elements"] == 3 * 9 + 3 + 3 * 36 * 4 + 4);
  CHECK(json["parameters_sha256"] == json["reference_sha256"]);
}

TEST_CASE("verify: wrong input") {
  const TemporaryFolder folder;
  const std::string graph = write_tiny_graph(folder);
  CHECK(run_program(folder, {"verify", graph, "--steps", "0"}).code == 2);
  CHECK(run_program(folder, {"verify", graph, "--init", folder / "nowhere.safetensors"}).code == 2);
  CHECK(run_program(folder, {"verify", graph, "--json", folder / "no/result.json"}).code == 2);
  CHECK(run_program(folder, {"verify", graph, "--set", "data.set=nothing_there"}).code == 3);
}

#include "tools/verify.h"

#include <doctest/doctest.h>
#include <json/json.h>

#include <cmath>
#include <sstream>
#include <string>
#include <vector>

#include "tests/tools/tiny_set.h"

using namespace lenet_flow;
using namespace lenet_flow::test;

namespace {

Verification one_difference() {
  Verification verification;
  verification.schedule = "gpipe";
  verification.steps = 100;
  verification.losses = 400;
  verification.parameters = 4;
  verification.elements = 1234;
  verification.states = 4;
  const TensorDifference weight{"conv1.weight", "conv1", 150, 7, 1.5e-7, 12, 0.25f, 0.5f};
  verification.differences = {weight};
  FirstDifference first;
  first.step = 7;
  first.layer = "conv1";
  first.tensors = {weight};
  verification.first = first;
  verification.sha256 = "aa";
  verification.reference_sha256 = "bb";
  return verification;
}

LayerVerification one_layer(double worst) {
  LayerVerification verification;
  verification.images = 16;
  verification.layers.resize(2);
  verification.layers[0] = {"conv1", "conv2d", "gpu0", "NVIDIA H200", "1 core (0)", 1e-5, 0.25, {}, worst, {}};
  verification.layers[1] = {"loss", "mean_squared_error", "cpu0", "1 core (1)", "2 cores (0, 1)", 1e-5, 0.0, 0.0, {},
                            {}};
  verification.cpu_only = false;
  return verification;
}

Json::Value json_of(const std::string& text) {
  Json::Value json;
  std::istringstream(text) >> json;
  return json;
}

void check_has(const std::string& text, const std::vector<std::string>& parts) {
  for (const std::string& part : parts) CHECK_MESSAGE(text.find(part) != std::string::npos, part << " in:\n" << text);
}

}  // namespace

TEST_CASE("a difference is exit code 4 and says the first step and layer, which element, how much") {
  const Verification verification = one_difference();
  CHECK(exit_code_of(verification) == ExitCode::limit_exceeded);
  check_has(verification_text(verification, Terminal{}),
            {"different: 100 steps by 'gpipe'", "1 of 8 tensors differ at the end",
             "first: step 7, layer 'conv1': conv1.weight[12] is 0.25, by 'sequential' 0.5\n",
             "after step 6 all is equal; every loss of this step is equal too", "150", "1.5e-07",
             "after step 7:", "after step 100:"});
  const Json::Value json = json_of(verification_json(verification, "a.json"));
  CHECK(json["schema"] == "lenet-flow.verify/1");
  CHECK(json["reference"] == "sequential");
  CHECK(json["equal"] == false);
  CHECK(json["first_loss"].isNull());
  CHECK(json["differences"][0]["different"] == 7);
  CHECK(json["differences"][0]["largest"].asDouble() == 1.5e-7);
  CHECK(json["first"]["step"] == 7);
  CHECK(json["first"]["layer"] == "conv1");
  CHECK(json["first"]["loss"].isNull());
  CHECK(json["first"]["tensors"][0]["first"] == 12);
  CHECK(json["first"]["tensors"][0]["reference"] == 0.5);
}

TEST_CASE("a loss that differs says its micro-batch and both values, to the last bit") {
  Verification verification = one_difference();
  verification.loss = LossDifference{7, 3, 0.1, 0.10000000000000002};
  verification.first->loss = verification.loss;
  check_has(verification_text(verification, Terminal{}),
            {"first: step 7, the loss of micro-batch 3 is 0.10000000000000001, by 'sequential' 0.10000000000000002; "
             "then layer 'conv1': conv1.weight[12]"});
  const Json::Value json = json_of(verification_json(verification, "a.json"));
  CHECK(json["first"]["loss"]["micro_batch"] == 3);
  CHECK(json["first_loss"]["step"] == 7);
  verification.differences.clear();
  CHECK(exit_code_of(verification) == ExitCode::limit_exceeded);  // the loss alone
  verification.first->reproduced = false;
  verification.first->tensors.clear();
  verification.first->layer.clear();
  check_has(verification_text(verification, Terminal{}),
            {"first: step 7, the loss of micro-batch 3 is", "trained again over these steps it did not show"});
}

TEST_CASE("no difference is exit code 0") {
  Verification verification = one_difference();
  verification.differences.clear();
  verification.first.reset();
  CHECK(exit_code_of(verification) == ExitCode::done);
  const std::string text = verification_text(verification, Terminal{});
  CHECK(text.starts_with("equal: 100 steps by 'gpipe'"));
  check_has(text,
            {"4 parameters (1,234 elements), 4 tensors of optimizer state and 400 losses are the same bit for bit"});
  CHECK(json_of(verification_json(verification, "a.json"))["first"].isNull());
}

TEST_CASE("layers within and outside their tolerance") {
  CHECK(exit_code_of(one_layer(1.0)) == ExitCode::done);
  for (const double worst : {1.001, static_cast<double>(INFINITY)}) {
    const LayerVerification verification = one_layer(worst);
    CHECK(exit_code_of(verification) == ExitCode::limit_exceeded);
    const std::string text = verification_text(verification, Terminal{});
    check_has(text, {"different: 1 row outside, on 16 images", "NVIDIA H200", "outside\n", "1e-05"});
    CHECK(text.find("shows nothing of a GPU") == std::string::npos);
    const Json::Value json = json_of(verification_json(verification, "a.json"));
    CHECK(json["schema"] == "lenet-flow.verify/1");
    CHECK(json["reference"] == "cpu");
    CHECK(json["equal"] == false);
    CHECK(json["layers"][0]["within"] == false);
    CHECK(json["layers"][0]["output"] == 0.25);
    CHECK(json["layers"][0]["input_gradient"].isNull());
    CHECK(json["layers"][1]["within"] == true);
  }
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
  CHECK(json["losses"] == 12);
  CHECK(json["optimizer_states"] == 4);
  CHECK(json["parameters"] == 4);
  CHECK(json["elements"] == 3 * 9 + 3 + 3 * 36 * 4 + 4);
  CHECK(json["parameters_sha256"] == json["reference_sha256"]);
}

TEST_CASE("verify --reference cpu: a table of layers, and that there was no other device to compare") {
  const TemporaryFolder folder;
  const std::string graph = write_tiny_graph(folder);
  const Ended table = run_program(folder, {"verify", graph, "--reference", "cpu"});
  CHECK_MESSAGE(table.code == 0, table.err);
  check_has(table.out, {"within tolerance: every layer, on 4 images", "conv2d", "softmax_cross_entropy",
                        "which shows nothing of a GPU"});
  const Ended ended = run_program(folder, {"verify", graph, "--reference", "cpu", "--json", "-"});
  CHECK_MESSAGE(ended.code == 0, ended.err);
  const Json::Value json = json_of(ended.out);
  CHECK(json["equal"] == true);
  CHECK(json["cpu_only"] == true);
  REQUIRE(json["layers"].size() == 5);
  CHECK(json["layers"][3]["layer"] == "fc");
  CHECK(json["layers"][3]["parameter_gradient"] == 0.0);
  CHECK(json["layers"][4]["layer"] == "loss");
  // Layers are compared one by one: it matters not how batches follow one another.
  CHECK(run_program(folder, {"verify", graph, "--reference", "cpu", "--set", "pipeline.schedule=1f1b", "--set",
                             "pipeline.flush=false"})
            .code == 0);
}

TEST_CASE("verify: wrong input") {
  const TemporaryFolder folder;
  const std::string graph = write_tiny_graph(folder);
  const Ended flush =
      run_program(folder, {"verify", graph, "--set", "pipeline.schedule=1f1b", "--set", "pipeline.flush=false"});
  CHECK(flush.code == 2);
  CHECK(flush.err_has("nothing to be equal to"));
  const Ended reference = run_program(folder, {"verify", graph, "--reference", "gpu"});
  CHECK(reference.code == 2);
  CHECK(reference.err_has("sequential"));
  const Ended steps = run_program(folder, {"verify", graph, "--reference", "cpu", "--steps", "3"});
  CHECK(steps.code == 2);
  CHECK(steps.err_has("--steps"));
  CHECK(run_program(folder, {"verify", graph, "--reference", "cpu", "--init", folder / "nowhere.safetensors"}).code ==
        2);
  CHECK(run_program(folder, {"verify", graph, "--steps", "0"}).code == 2);
  CHECK(run_program(folder, {"verify", graph, "--init", folder / "nowhere.safetensors"}).code == 2);
  CHECK(run_program(folder, {"verify", graph, "--json", folder / "no/result.json"}).code == 2);
  CHECK(run_program(folder, {"verify", graph, "--set", "data.set=nothing_there"}).code == 3);
}

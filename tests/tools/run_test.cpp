#include <doctest/doctest.h>
#include <json/json.h>

#include <algorithm>
#include <sstream>

#include "tests/tools/tiny_set.h"
#include "tools/units.h"

using namespace lenet_flow::test;

namespace {

Json::Value json_of(const std::string& text) {
  Json::Value json;
  std::istringstream stream(text);
  std::string errors;
  CHECK_MESSAGE(Json::parseFromStream(Json::CharReaderBuilder(), stream, &json, &errors), errors);
  return json;
}

/// The result of a run that must succeed.
Json::Value run_json(const TemporaryFolder& folder, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "run");
  arguments.insert(arguments.end(), {"--json", "-"});
  const Ended ended = run_program(folder, arguments);
  REQUIRE_MESSAGE(ended.code == 0, ended.err);
  return json_of(ended.out);
}

std::string sha_of(const TemporaryFolder& folder, const std::vector<std::string>& arguments) {
  return run_json(folder, arguments)["parameters_sha256"].asString();
}

}  // namespace

TEST_CASE("run trains, says so on standard error and prints tables on standard output") {
  const TemporaryFolder folder;
  const Ended ended = run_program(folder, {"run", write_tiny_graph(folder), "--epochs", "3"});
  CHECK_MESSAGE(ended.code == 0, ended.err);
  for (const char* part : {"epoch 1/3: loss ", "epoch 3/3: loss ", "test accuracy", "images/s"})
    CHECK_MESSAGE(ended.err_has(part), part << " in:\n" << ended.err);
  for (const char* part : {"tiny: trained 3 epochs on tiny", "conv..relu", "flat..fc", "compute", "test accuracy",
                           "parameters     sha256 ", "memory"})
    CHECK_MESSAGE(ended.out_has(part), part << " in:\n" << ended.out);
  CHECK(!ended.err_has("\033"));
  CHECK(!ended.err_has("\r"));
  CHECK(!ended.out_has("\033"));
}

TEST_CASE("run learns what is easy to learn") {
  const TemporaryFolder folder;
  const Json::Value json = run_json(folder, {write_tiny_graph(folder), "--epochs", "20"});
  CHECK(json["test_accuracy"].asDouble() == 1.0);
  CHECK(json["epochs"][19]["loss"].asDouble() < 0.1);
}

TEST_CASE("run --json has the fields of the contract") {
  const TemporaryFolder folder;
  const std::string graph = write_tiny_graph(folder);
  const Json::Value json = run_json(folder, {graph, "--seed", "7"});
  for (const char* key : {"schema", "version", "graph", "mode", "seed", "command", "devices", "epochs", "images",
                          "seconds", "images_per_second", "wall_seconds", "test_accuracy", "test_loss",
                          "parameters_sha256", "pipeline", "stages", "memory", "warnings"})
    CHECK_MESSAGE(json.isMember(key), key);
  CHECK(json["schema"] == "lenet-flow.run/1");
  CHECK(json["seed"] == 7);
  CHECK(json["images"] == 128);
  CHECK(json["command"] == "lenet-flow run " + graph + " --seed 7 --json -");
  CHECK(json["parameters_sha256"].asString().size() == 64);
  REQUIRE(json["stages"].size() == 2);
  for (const Json::Value& stage : json["stages"]) {
    double sum = 0;
    for (const Json::Value& seconds : stage["seconds"]) sum += seconds.asDouble();
    CHECK(sum == doctest::Approx(json["seconds"].asDouble()));
  }
}

TEST_CASE("run --json FILE leaves that file and prints the tables as well") {
  const TemporaryFolder folder, results;
  const Ended ended = run_program(folder, {"run", write_tiny_graph(folder), "--json", results / "result.json"});
  CHECK(ended.code == 0);
  CHECK(ended.out_has("test accuracy"));
  CHECK(json_of(read_text(results / "result.json"))["schema"] == "lenet-flow.run/1");
  CHECK(names_in(results.path()) == std::vector<std::string>{"result.json"});
}

TEST_CASE("--report leaves a page with the run's own result, of run and of profile") {
  const TemporaryFolder folder, results;
  const std::string graph = write_tiny_graph(folder), page = results / "report.html";
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"run", graph, "--json", "-"}, {"profile", graph, "--steps", "4", "--json", "-"}}) {
    std::vector<std::string> all = arguments;
    all.insert(all.end(), {"--report", page});
    const Ended ended = run_program(folder, all);
    CHECK_MESSAGE(ended.code == 0, ended.err);
    const std::string text = read_text(page);
    CHECK(text.starts_with("<!doctype html>"));
    CHECK(names_in(results.path()) == std::vector<std::string>{"report.html"});
    const std::string open = "id=\"report-data\">";
    const std::size_t begin = text.find(open) + open.size();
    const Json::Value report = json_of(text.substr(begin, text.find("</script", begin) - begin));
    CHECK(report["result"]["parameters_sha256"] == json_of(ended.out)["parameters_sha256"]);
    CHECK(report["graph_text"] == read_text(graph));
    CHECK(report["layers"].size() == 4);
    CHECK(report["peak_flops"][0].asDouble() > 0);
    CHECK(report["steps"].size() == report["result"]["steps"].size());
  }
}

TEST_CASE("a lost standard output is exit code 1, but the file is there") {
  const TemporaryFolder folder;
  Setup closed;
  closed.out_closed_pipe = true;
  const Ended ended =
      run_program(folder, {"run", write_tiny_graph(folder), "--json", folder / "result.json"}, {}, closed);
  CHECK(ended.code == 1);
  CHECK(json_of(read_text(folder / "result.json"))["images"] == 128);
}

TEST_CASE("run --quiet says nothing but results and warnings") {
  const TemporaryFolder folder;
  const Ended quiet = run_program(folder, {"run", write_tiny_graph(folder), "--quiet"});
  CHECK(quiet.code == 0);
  CHECK(quiet.err == "");
  CHECK(quiet.out_has("test accuracy"));
  write_tiny_graph(folder, R"({ "kind": "cuda", "index": 0, "otherwise": "cpu" })");
  const Ended warned = run_program(folder, {"run", folder / "tiny.json", "-q"});
  CHECK(warned.code == 0);
  CHECK(std::count(warned.err.begin(), warned.err.end(), '\n') == 1);
  CHECK(warned.err.starts_with("lenet-flow: warning: "));
  CHECK(warned.out_has("warning"));
}

TEST_CASE("the same bits for the same seed, by every schedule, cut and placement; others for another seed") {
  const TemporaryFolder folder;
  const std::string graph = write_tiny_graph(folder);
  const std::string sha = sha_of(folder, {graph});
  CHECK(sha_of(folder, {graph}) == sha);
  CHECK(sha_of(folder, {graph, "--set", "pipeline.schedule=sequential"}) == sha);
  CHECK(sha_of(folder, {graph, "--map", "first=cpu1"}) == sha);
  CHECK(sha_of(folder, {graph, "--set", "layers.relu.device=cpu1"}) == sha);
  CHECK(sha_of(folder, {graph, "--seed", "2"}) != sha);
}

TEST_CASE("short forms and --set: the short form has the last word") {
  const TemporaryFolder folder;
  const std::string graph = write_tiny_graph(folder);
  CHECK(run_json(folder, {graph, "--epochs", "1"})["images"] == 64);
  CHECK(run_json(folder, {graph, "--set", "training.epochs=3"})["images"] == 192);
  CHECK(run_json(folder, {graph, "--epochs", "1", "--set", "training.epochs=3"})["images"] == 64);
  CHECK(run_json(folder, {graph, "--epochs", "1", "--limit", "10"})["images"] == 10);
  CHECK(run_json(folder, {graph, "--epochs", "1", "--limit", "1000"})["images"] == 64);
}

TEST_CASE("--data is looked at before LENET_FLOW_DATA") {
  const TemporaryFolder folder;
  const std::string graph = write_tiny_graph(folder);
  write_tiny_set(folder, "other/tiny", 20, 8);
  CHECK(run_json(folder, {graph, "--epochs", "1", "--data", folder / "data/other"})["images"] == 20);
}

TEST_CASE("checkpoints: after every epoch; resumed, the run ends in the same bits") {
  const TemporaryFolder folder;
  const std::string graph = write_tiny_graph(folder), saved = folder / "saved/deep";
  const std::string straight = sha_of(folder, {graph, "--epochs", "4"});
  const Ended first = run_program(folder, {"run", graph, "--epochs", "2", "--checkpoint", saved});
  CHECK_MESSAGE(first.code == 0, first.err);
  CHECK(first.out_has(saved + "/epoch-0002.safetensors"));
  CHECK(names_in(saved) == std::vector<std::string>{"epoch-0001.safetensors", "epoch-0002.safetensors"});
  CHECK(sha_of(folder, {graph, "--epochs", "4", "--checkpoint", saved, "--resume"}) == straight);
  // From its parameters alone, with the momentum lost, it is another run.
  CHECK(sha_of(folder, {graph, "--epochs", "2", "--init", saved + "/epoch-0002.safetensors"}) != straight);
}

TEST_CASE("what is missing is exit code 3, with what to type") {
  const TemporaryFolder folder;
  const std::string graph = write_tiny_graph(folder);
  const Ended no_data = run_program(folder, {"run", graph, "--set", "data.set=mnist"});
  CHECK(no_data.code == 3);
  CHECK_MESSAGE(no_data.err_has("lenet-flow data get mnist"), no_data.err);
  CHECK(run_program(folder, {"run", graph, "--set", "data.set=nothing"}).code == 3);
  write_tiny_graph(folder, R"({ "kind": "cuda", "index": 0 })");
  const Ended no_gpu = run_program(folder, {"run", graph});
  CHECK(no_gpu.code == 3);
  CHECK_MESSAGE(no_gpu.err_has("--map first=cpu"), no_gpu.err);
  CHECK(run_program(folder, {"run", graph, "--map", "first=cpu"}).code == 0);
}

TEST_CASE("what cannot be written is exit code 2 before training starts") {
  const TemporaryFolder folder;
  const std::string graph = write_tiny_graph(folder);
  const std::vector<std::vector<std::string>> wrongs{
      {"--json", folder / "no/result.json"},   {"--json", folder.path().string()},   {"--json", graph + "/result.json"},
      {"--report", folder / "no/report.html"}, {"--report", folder.path().string()}, {"--checkpoint", graph}};
  for (const auto& wrong : wrongs) {
    const Ended ended = run_program(folder, {"run", graph, wrong[0], wrong[1]});
    CHECK(ended.code == 2);
    CHECK(!ended.err_has("epoch"));
    CHECK(ended.err_has(wrong[0] + " " + wrong[1]));
  }
}

TEST_CASE("wrong parameters are exit code 2") {
  const TemporaryFolder folder;
  const std::string graph = write_tiny_graph(folder), saved = folder / "saved";
  write_text(folder / "junk.safetensors", "this is not safetensors at all");
  CHECK(run_program(folder, {"run", graph, "--init", folder / "junk.safetensors"}).code == 2);
  CHECK(run_program(folder, {"run", graph, "--init", folder / "nowhere.safetensors"}).code == 2);
  REQUIRE(run_program(folder, {"run", graph, "--epochs", "1", "--checkpoint", saved}).code == 0);
  const std::string checkpoint = saved + "/epoch-0001.safetensors";
  const Ended other_shape =
      run_program(folder, {"run", graph, "--init", checkpoint, "--set", "layers.conv.out_channels=5"});
  CHECK(other_shape.code == 2);
  CHECK(other_shape.err_has("conv.weight"));
  const std::string whole = read_text(checkpoint);
  write_text(checkpoint, whole.substr(0, whole.size() - 8));
  CHECK(run_program(folder, {"run", graph, "--init", checkpoint}).code == 2);
  CHECK(run_program(folder, {"run", graph, "--checkpoint", saved, "--resume"}).code == 2);
}

TEST_CASE("a run whose numbers go bad is exit code 1 and names a layer; the last whole checkpoint is kept") {
  const TemporaryFolder folder;
  const std::string graph = write_tiny_graph(folder), saved = folder / "saved";
  REQUIRE(run_program(folder, {"run", graph, "--epochs", "1", "--checkpoint", saved}).code == 0);
  const Ended ended = run_program(
      folder,
      {"run", graph, "--set",
       R"(data.preprocess=[{"type":"scale","by":1e6},{"type":"scale","by":1e6},{"type":"scale","by":1e6},{"type":"scale","by":1e6},{"type":"scale","by":1e6}])",
       "--set", "training.optimizer.learning_rate=1000", "--set", "layers.relu.type=leaky_relu", "--epochs", "50",
       "--checkpoint", saved});
  CHECK(ended.code == 1);
  CHECK_MESSAGE(ended.err_has("lenet-flow: error: "), ended.err);
  CHECK((ended.err_has("conv") || ended.err_has("fc")));
  CHECK(ended.out == "");
  CHECK(names_in(saved) == std::vector<std::string>{"epoch-0001.safetensors"});
}

TEST_CASE("a broken data set is exit code 2") {
  const TemporaryFolder folder;
  const std::string graph = write_tiny_graph(folder);
  const std::string images = folder / "data/tiny/train-images-idx3-ubyte";
  write_text(images, read_text(images).substr(0, 1000));
  const Ended ended = run_program(folder, {"run", graph});
  CHECK(ended.code == 2);
  CHECK(ended.err_has("train-images-idx3-ubyte"));
}

TEST_CASE("infer: no training, the given parameters") {
  const TemporaryFolder folder;
  const std::string graph = write_tiny_graph(folder);
  const Json::Value json = run_json(folder, {graph, "--set", "training.mode=infer"});
  CHECK(json["mode"] == "infer");
  CHECK(json["epochs"].size() == 0);
  CHECK(json["images"] == 32);
  const Ended tables = run_program(folder, {"run", graph, "--set", "training.mode=infer"});
  CHECK(tables.code == 0);
  CHECK(tables.out_has("tiny: inferred on tiny"));
}

TEST_CASE("on a terminal: a live line, colours unless NO_COLOR is set") {
  if (!has_terminals()) {
    MESSAGE("no pseudo-terminals here: not tried");
    return;
  }
  const TemporaryFolder folder;
  const std::string graph = write_tiny_graph(folder);
  Setup terminal;
  terminal.err_terminal = true;
  const Ended live = run_program(folder, {"run", graph, "--epochs", "30"}, {}, terminal);
  CHECK(live.code == 0);
  CHECK(live.err_has("\r\033[1mepoch "));
  CHECK(live.err_has("\033[K"));
  CHECK(live.err_has("epoch 30/30: loss "));
  const Ended plain = run_program(folder, {"run", graph, "--epochs", "30"}, {{"NO_COLOR", "1"}}, terminal);
  CHECK(plain.err_has("\repoch "));
  CHECK(!plain.err_has("\033[1m"));
  const Ended dumb = run_program(folder, {"run", graph}, {{"TERM", "dumb"}}, terminal);
  CHECK(!dumb.err_has("\033"));
}

TEST_CASE("recompute saves the memory that check says, and changes no bit") {
  const TemporaryFolder folder;
  const std::string graph = write_tiny_graph(folder);
  const auto stages = [](const char* recompute) {
    return std::string(R"(pipeline.stages=[{"layers": ["conv", "relu"], "recompute": )") + recompute +
           R"(}, {"layers": ["flat", "fc"]}])";
  };
  const Json::Value with = run_json(folder, {graph, "--set", "pipeline.micro_batch=2", "--set", stages("true")});
  const Json::Value without = run_json(folder, {graph, "--set", "pipeline.micro_batch=2", "--set", stages("false")});
  CHECK(with["parameters_sha256"] == without["parameters_sha256"]);
  const Json::Value &stage = with["stages"][0], &kept = without["stages"][0];
  CHECK(stage["bytes_without_recompute"] == kept["peak_bytes"]);
  CHECK(!kept.isMember("bytes_without_recompute"));
  CHECK(!with["stages"][1].isMember("bytes_without_recompute"));
  // What the device was asked for, not what was planned.
  const auto held = [](const Json::Value& result) { return result["memory"]["devices"]["first"].asUInt64(); };
  const std::uint64_t saved = kept["peak_bytes"].asUInt64() - stage["peak_bytes"].asUInt64();
  CHECK(held(without) - held(with) == saved);
  // Of the eight micro-batches' outputs of conv (2 images of 3 x 6 x 6) two are left, and two of relu's come to those
  // that leave the stage.
  constexpr std::uint64_t tensor = 2 * 3 * 6 * 6 * sizeof(float), alignment = 64;
  CHECK(saved == (8 - 2 - 2) * ((tensor + alignment - 1) / alignment * alignment));
  const Ended check = run_program(folder, {"check", graph, "--set", "pipeline.micro_batch=2", "--set", stages("true")});
  CHECK_MESSAGE(check.code == 0, check.err);
  const std::string said = lenet_flow::saving_text(kept["peak_bytes"].asUInt64(), stage["peak_bytes"].asUInt64());
  CHECK_MESSAGE(check.out_has(said), said << " in:\n" << check.out);
  CHECK(check.out_has("recompute   device"));
  const Ended run =
      run_program(folder, {"run", graph, "--epochs", "1", "--set", "pipeline.micro_batch=2", "--set", stages("true")});
  CHECK_MESSAGE(run.out_has("conv..relu on first: "), run.out);
  CHECK(run.out_has(said));
  CHECK(!run_program(folder, {"check", graph, "--set", stages("false")}).out_has("recompute"));
}

TEST_CASE("the result says how stale updates were without flush") {
  const TemporaryFolder folder;
  const std::string graph = write_tiny_graph(folder);
  const Json::Value flushed = run_json(folder, {graph});
  CHECK(flushed["pipeline"]["weight_versions"] == "flush");
  CHECK(!flushed["stages"][0].isMember("staleness"));
  for (const std::string kind : {"stashing", "double_buffered"}) {
    const std::vector<std::string> sets{"--set", "pipeline.schedule=1f1b",          "--set", "pipeline.flush=false",
                                        "--set", "pipeline.weight_versions=" + kind};
    std::vector<std::string> arguments{graph};
    arguments.insert(arguments.end(), sets.begin(), sets.end());
    const Json::Value json = run_json(folder, arguments);
    CHECK(json["pipeline"]["weight_versions"] == kind);
    for (const Json::Value& stage : json["stages"]) {
      std::int64_t updates = 0;
      for (const Json::Value& count : stage["staleness"]) updates += count.asInt64();
      CHECK(updates == 2 * 4);  // epochs, batches
    }
    // Both stages read the parameters before the last with two buffers; stashing, the last stage is never behind.
    CHECK(json["stages"][0]["staleness"].size() == 2);
    CHECK(json["stages"][0]["weight_versions"] == 2);
    CHECK(json["stages"][1]["staleness"].size() == (kind == "stashing" ? 1 : 2));
    arguments.insert(arguments.begin(), "run");
    const Ended ended = run_program(folder, arguments);
    CHECK_MESSAGE(ended.out_has("staleness      " + kind + ", conv..relu: 2 versions"), ended.out);
  }
}

// --trace, --trace-steps, --sample, --inject, as commands take them.
#include <doctest/doctest.h>
#include <json/json.h>
#include <signal.h>
#include <zlib.h>

#include <filesystem>
#include <sstream>

#include "tests/tools/tiny_set.h"

using namespace lenet_flow::test;

namespace {

Json::Value json_of(const std::string& text) {
  Json::Value json;
  std::istringstream stream(text);
  std::string errors;
  CHECK_MESSAGE(Json::parseFromStream(Json::CharReaderBuilder(), stream, &json, &errors), errors);
  return json;
}

/// What a file holds; zlib reads files that are not compressed as they are.
std::string unpacked(const std::string& path) {
  std::string text, piece(1 << 16, '\0');
  gzFile file = gzopen(path.c_str(), "rb");
  REQUIRE(file);
  for (int count = 1; count > 0; text.append(piece, 0, static_cast<std::size_t>(std::max(0, count))))
    count = gzread(file, piece.data(), static_cast<unsigned>(piece.size()));
  CHECK(gzclose(file) == Z_OK);
  return text;
}

bool is_gzip(const std::string& path) { return read_text(path).starts_with("\x1f\x8b"); }

}  // namespace

TEST_CASE("--trace writes a trace, compressed where the name says so, and the result tells of it") {
  const TemporaryFolder folder;
  const std::string graph = write_tiny_graph(folder);
  for (const char* name : {"trace.json", "trace.json.gz"}) {
    const Ended ended = run_program(
        folder, {"run", graph, "--epochs", "2", "--trace", folder / name, "--json", folder / "result.json"});
    REQUIRE_MESSAGE(ended.code == 0, ended.err);
    CHECK(is_gzip(folder / name) == std::string(name).ends_with(".gz"));
    const Json::Value trace = json_of(unpacked(folder / name)),
                      told = json_of(read_text(folder / "result.json"))["trace"];
    CHECK(trace["traceEvents"].size() > 100);
    CHECK(trace["otherData"]["command"].asString().find("--trace") != std::string::npos);
    CHECK(told["file"] == folder / name);
    CHECK(told["sampled_every"] == 1);
    CHECK(told["batches"] == told["batches_of_run"]);
    CHECK(told["batches"] == trace["otherData"]["batches"]);
    CHECK(told["lost"] == 0);
    CHECK(ended.out_has("trace          " + folder / name + ": all "));
  }
  CHECK(names_in(folder.path()) == std::vector<std::string>{"data", "result.json", "stderr", "stdout", "tiny.json",
                                                            "trace.json", "trace.json.gz"});
}

TEST_CASE("--sample and --trace-steps are told by the file, the result and the table") {
  const TemporaryFolder folder;
  const std::string graph = write_tiny_graph(folder);
  const Ended ended = run_program(folder, {"profile", graph, "--steps", "20", "--sample", "3", "--trace-steps", "4",
                                           "--trace", folder / "trace.json", "--json", folder / "result.json"});
  REQUIRE_MESSAGE(ended.code == 0, ended.err);
  const Json::Value told = json_of(read_text(folder / "result.json"))["trace"];
  CHECK(told["sampled_every"] == 3);
  CHECK(told["batches_at_most"] == 4);
  CHECK(told["batches"] == 4);
  CHECK(told["batches_of_run"] == 20);
  const Json::Value other = json_of(read_text(folder / "trace.json"))["otherData"];
  for (const char* key : {"sampled_every", "batches_at_most", "batches", "batches_of_run"})
    CHECK(other[key] == told[key]);
  CHECK(ended.out_has("4 of 20 batches (1 in 3, the first 4)"));
}

TEST_CASE("a trace that cannot be written is told before the run") {
  const TemporaryFolder folder;
  const std::string graph = write_tiny_graph(folder);
  const auto run = [&](const std::vector<std::string>& more) {
    std::vector<std::string> arguments{"run", graph};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const Ended ended = run_program(folder, arguments);
    CHECK(ended.code == 2);
    CHECK(ended.out.empty());
    CHECK(!ended.err_has("epoch"));
    return ended.err;
  };
  CHECK(run({"--trace", folder / "no/trace.json"}).find("there is no folder") != std::string::npos);
  CHECK(run({"--trace", folder.path().string()}).find("is a folder") != std::string::npos);
  run({"--trace", ""});
  run({"--trace"});
  run({"--sample", "10"});
  run({"--trace-steps", "10"});
  for (const char* number : {"0", "-1", "2.5", "x", "", "99999999999999999999"}) {
    run({"--trace", folder / "trace.json", "--sample", number});
    run({"--trace", folder / "trace.json", "--trace-steps", number});
  }
  CHECK(names_in(folder.path()) == std::vector<std::string>{"data", "stderr", "stdout", "tiny.json"});
}

TEST_CASE("a full disk does not end the run before its time, and is told") {
  const TemporaryFolder folder;
  const std::string graph = write_tiny_graph(folder);
  const Ended ended = run_program(folder, {"run", graph, "--epochs", "2", "--trace", "/dev/full"});
  CHECK(ended.code == 1);
  CHECK(ended.err_has("epoch 2/2"));
  CHECK(ended.err_has("--trace /dev/full: No space left on device"));
}

TEST_CASE("an interrupted run leaves a whole trace, a killed one nothing") {
  for (const bool killed : {false, true}) {
    const TemporaryFolder folder;
    const std::string graph = write_tiny_graph(folder);
    Program program(folder, {"run", graph, "--epochs", "1000000", "--trace", folder / "trace.json.gz"});
    REQUIRE(program.wait_for("epoch 2/"));
    program.send(killed ? SIGKILL : SIGINT);
    const Ended ended = program.wait();
    if (killed) {
      CHECK(ended.signal == SIGKILL);
      CHECK(!std::filesystem::exists(folder / "trace.json.gz"));
      continue;
    }
    CHECK(ended.code == 130);
    CHECK(ended.err_has("traced "));
    CHECK(json_of(unpacked(folder / "trace.json.gz"))["traceEvents"].size() > 100);
  }
}

TEST_CASE("--inject is told by every output and changes no parameter") {
  const TemporaryFolder folder;
  const std::string graph = write_tiny_graph(folder);
  const Json::Value plain = json_of(run_program(folder, {"run", graph, "--json", "-"}).out);
  CHECK(plain["injected"].size() == 0);
  const Ended ended = run_program(
      folder, {"run", graph, "--inject", "fc=+300us", "--inject", "cpu1=x1.5", "--inject", "link:conv->fc=+100us,1GB/s",
               "--trace", folder / "trace.json", "--json", folder / "r.json"});
  REQUIRE_MESSAGE(ended.code == 0, ended.err);
  const Json::Value json = json_of(read_text(folder / "r.json"));
  CHECK(json["parameters_sha256"] == plain["parameters_sha256"]);
  REQUIRE(json["injected"].size() == 3);
  CHECK(json["injected"][0]["what"] == "layer");
  CHECK(json["injected"][0]["seconds"].asDouble() == doctest::Approx(300e-6));
  CHECK(json["injected"][1]["factor"] == 1.5);
  CHECK(json["injected"][2]["name"] == "conv..relu->flat..fc");
  CHECK(json["injected"][2]["bytes_per_second"] == 1e9);
  for (const Json::Value& stage : json["stages"]) CHECK(stage["injected_seconds"].asDouble() > 0);
  const std::string warning = "delays are injected: fc=+300us; cpu1=x1.5; link:conv->fc=+100us,1GB/s";
  CHECK(ended.err_has(warning));
  CHECK(json["warnings"][0].asString().starts_with(warning));
  CHECK(ended.out_has("  injected"));
  const Json::Value trace = json_of(read_text(folder / "trace.json"));
  CHECK(trace["otherData"]["injected"].size() == 3);
  int delayed = 0;
  for (const Json::Value& event : trace["traceEvents"])
    if (event["args"].isMember("injected_us") && event["cat"] == "action") ++delayed;
  CHECK(delayed > 0);
}

TEST_CASE("a wrong --inject ends every command on a graph with what would be right") {
  const TemporaryFolder folder;
  const std::string graph = write_tiny_graph(folder);
  const std::vector<std::pair<std::string, std::string>> wrong{
      {"fcc=+1us", "--inject fcc=+1us: unknown layer or device 'fcc'; did you mean 'fc'?"},
      {"fc=1us", "--inject fc=1us: expected +TIME or xFACTOR for a layer, such as +200us or x1.5, got '1us'"},
      {"fc=+1", "--inject fc=+1: expected +TIME from +1ns to +60s, such as +200us"},
      {"cpu1=x-1", "--inject cpu1=x-1: expected xFACTOR from x1 to x1000"},
      {"link:conv->fcc=+1us", "--inject link:conv->fcc=+1us: unknown stage or layer 'fcc'; did you mean 'fc'?"},
      {"link:fc->conv=+1us", "--inject link:fc->conv=+1us: there is no link 'fc->conv'"},
      {"link:conv->fc=1GB", "--inject link:conv->fc=1GB: expected a rate from 1kB/s"}};
  for (const auto& [inject, message] : wrong)
    for (const char* command : {"run", "check", "profile"}) {
      const Ended ended = run_program(folder, {command, graph, "--inject", inject});
      CHECK(ended.code == 2);
      CHECK_MESSAGE(ended.err_has(message), ended.err);
    }
}

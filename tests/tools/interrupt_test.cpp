#include <doctest/doctest.h>
#include <signal.h>

#include "tests/tools/tiny_set.h"

using namespace lenet_flow::test;

namespace {

const std::vector<std::string> endless{"--epochs", "1000000"};

std::vector<std::string> with(std::vector<std::string> arguments, const std::vector<std::string>& more) {
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

bool only_whole_names(const std::vector<std::string>& names) {
  for (const std::string& name : names)
    if (!name.starts_with("epoch-") || !name.ends_with(".safetensors")) return false;
  return !names.empty();
}

}  // namespace

TEST_CASE("Ctrl-C or SIGTERM once, without --checkpoint: 130 soon, nothing written, no result") {
  for (const int signal : {SIGINT, SIGTERM}) {
    const TemporaryFolder folder, results;
    Program program(folder, with({"run", write_tiny_graph(folder), "--json", results / "result.json"}, endless));
    REQUIRE(program.wait_for("epoch 3/"));
    program.send(signal);
    const Ended ended = program.wait();
    CHECK(ended.code == 130);
    CHECK(ended.signal == 0);
    CHECK(ended.out == "");
    CHECK(ended.err_has("interrupted; nothing was written"));
    CHECK(names_in(results.path()).empty());
  }
}

TEST_CASE("Ctrl-C once with --checkpoint: 130 after a whole checkpoint, from which the run ends in the same bits") {
  const TemporaryFolder folder;
  const std::string graph = write_tiny_graph(folder), saved = folder / "saved";
  write_tiny_set(folder, "long", 40000, 8);
  const std::vector<std::string> arguments{
      "run",      graph, "--set", "data.set=long", "--set", "pipeline.micro_batch=4", "--set", "training.batch=4",
      "--epochs", "2"};
  Program program(folder, with(arguments, {"--verbose", "--checkpoint", saved}));
  REQUIRE(program.wait_for("epoch 1/2: "));
  program.send(SIGINT);
  const Ended ended = program.wait();
  CHECK(ended.code == 130);
  CHECK(ended.err_has("--resume goes on from " + saved + "/epoch-"));
  CHECK(only_whole_names(names_in(saved)));
  const Ended resumed = run_program(folder, with(arguments, {"--checkpoint", saved, "--resume"}));
  const Ended straight = run_program(folder, arguments);
  REQUIRE_MESSAGE(resumed.code == 0, resumed.err);
  const auto sha = [](const Ended& run) { return run.out.substr(run.out.find("sha256 "), 71); };
  CHECK(sha(resumed) == sha(straight));
}

TEST_CASE("twice: 130 at once; what stays under a final name is whole") {
  const TemporaryFolder folder;
  const std::string graph = write_tiny_graph(folder), saved = folder / "saved";
  Program program(folder, with({"run", graph, "--checkpoint", saved}, endless));
  REQUIRE(program.wait_for("epoch 3/"));
  // Both are waiting when the program goes on.
  program.send(SIGSTOP);
  program.send(SIGINT);
  program.send(SIGTERM);
  program.send(SIGCONT);
  const Ended ended = program.wait();
  CHECK(ended.code == 130);
  CHECK(!ended.err_has("interrupted;"));
  for (const std::string& name : names_in(saved)) {
    if (!name.ends_with(".safetensors") || name.starts_with(".")) continue;
    if (name != names_in(saved).front() && name != names_in(saved).back()) continue;
    CHECK(run_program(folder, {"eval", graph, "--parameters", saved + "/" + name}).code == 0);
  }
}

TEST_CASE("Ctrl-C ends verify and eval with 130 and no result") {
  const TemporaryFolder folder;
  const std::string graph = write_tiny_graph(folder);
  write_tiny_set(folder, "long", 40000, 40000);
  Program verify(folder, {"verify", graph, "--set", "data.set=long", "--steps", "100000000", "--verbose"});
  REQUIRE(verify.wait_for("epoch"));
  verify.send(SIGINT);
  const Ended ended = verify.wait();
  CHECK(ended.code == 130);
  CHECK(ended.out == "");
}

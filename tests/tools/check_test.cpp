#include <doctest/doctest.h>

#include <algorithm>

#include "tests/tools/tiny_set.h"

using namespace lenet_flow::test;

TEST_CASE("check says layers, stages, links, memory and the schedule") {
  const TemporaryFolder folder;
  const Ended ended = run_program(folder, {"check", write_tiny_graph(folder)});
  CHECK_MESSAGE(ended.code == 0, ended.err);
  CHECK(ended.err == "");
  for (const char* part :
       {"tiny: trains 64 images on tiny, 1x8x8 in 4 classes", "4 batches of 16, each in 4 micro-batches of 4", "conv2d",
        "3x6x6", "432 B", "436", "relu", "conv..relu->flat..fc", "parameters", "activations", "schedule 'gpipe'",
        "no deadlock", "conv..relu F0F1F2F3", "flat..fc   ..F0F1F2F3"})
    CHECK_MESSAGE(ended.out_has(part), part << " in:\n" << ended.out);
  CHECK(!ended.out_has("\033"));
}

TEST_CASE("check says which times auto is made for: estimated, or those of the file") {
  const TemporaryFolder folder;
  const std::string graph = write_tiny_graph(folder);
  CHECK(!run_program(folder, {"check", graph}).out_has("estimated"));
  const Ended estimated = run_program(folder, {"check", graph, "--set", "pipeline.schedule=auto"});
  CHECK_MESSAGE(estimated.code == 0, estimated.err);
  CHECK_MESSAGE(estimated.out_has("conv..relu  estimated"), estimated.out);
  const Ended given =
      run_program(folder, {"check", graph, "--set", "pipeline.schedule=auto", "--set",
                           R"(pipeline.stages=[{"layers": ["conv", "relu"], "costs": {"forward_us": 77}},
                                              {"layers": ["flat", "fc"]}])"});
  CHECK_MESSAGE(given.code == 0, given.err);
  CHECK_MESSAGE(given.out_has("given and estimated"), given.out);
  CHECK_MESSAGE(given.out_has("77 us"), given.out);
}

TEST_CASE("check: FLOPs and parameters of a convolution by hand") {
  const TemporaryFolder folder;
  const Ended ended = run_program(folder, {"check", write_tiny_graph(folder)});
  // conv: 3 x 9 weights and 3 biases; 36 places x 27 multiply-adds, 2 FLOPs each, and maybe the biases.
  const std::size_t row = ended.out.find("\nconv ");
  REQUIRE(row != std::string::npos);
  const std::string line = ended.out.substr(row + 1, ended.out.find('\n', row + 1) - row - 1);
  CHECK_MESSAGE(line.find("  30  ") != std::string::npos, line);
  CHECK_MESSAGE((line.find("1.9 k") != std::string::npos || line.find("2.1 k") != std::string::npos), line);
}

TEST_CASE("check changes with --set, --map and --limit") {
  const TemporaryFolder folder;
  const std::string graph = write_tiny_graph(folder);
  const Ended limited = run_program(folder, {"check", graph, "--limit", "40", "--set", "pipeline.micro_batch=16"});
  CHECK_MESSAGE(limited.code == 0, limited.err);
  CHECK(limited.out_has("trains 40 images"));
  CHECK(limited.out_has("3 batches of 16, each in 1 micro-batch of 16"));
  const Ended sequential = run_program(folder, {"check", graph, "--set", "pipeline.schedule=sequential", "--verbose"});
  CHECK(sequential.code == 0);
  CHECK(sequential.out_has("first: 0F0,0B0,0F1"));
  const Ended infers = run_program(folder, {"check", graph, "--set", "training.mode=infer"});
  CHECK_MESSAGE(infers.code == 0, infers.err);
  CHECK(infers.out_has("infers 32 images"));
}

TEST_CASE("check writes Graphviz to a file and to standard output") {
  const TemporaryFolder folder;
  const std::string graph = write_tiny_graph(folder);
  const Ended file = run_program(folder, {"check", graph, "--dot", folder / "tiny.dot"});
  CHECK(file.code == 0);
  CHECK(file.out_has("schedule 'gpipe'"));
  const Ended standard = run_program(folder, {"check", graph, "--dot", "-"});
  CHECK(standard.code == 0);
  CHECK(standard.out == read_text(folder / "tiny.dot"));
  CHECK(standard.out.starts_with("digraph"));
  for (const char* part : {"conv", "relu", "flat", "fc", "->"}) CHECK(standard.out_has(part));
  CHECK(run_program(folder, {"check", graph, "--dot", folder / "no/tiny.dot"}).code == 2);
}

TEST_CASE("check needs no data for known sets, warns and is done where a GPU is not there but may be a CPU") {
  const TemporaryFolder folder;
  write_tiny_graph(folder, R"({ "kind": "cuda", "index": 0, "otherwise": "cpu" })");
  const Ended ended = run_program(
      folder, {"check", folder / "tiny.json", "--set", "data.set=mnist", "--set", "layers.fc.out_features=10"});
  CHECK_MESSAGE(ended.code == 0, ended.err);
  CHECK(ended.out_has("trains 60,000 images on mnist"));
  CHECK(ended.err.starts_with("lenet-flow: warning: "));
  CHECK(ended.err_has("'first'"));
}

TEST_CASE("check: what is missing is exit code 3, with what to type") {
  const TemporaryFolder folder;
  write_tiny_graph(folder, R"({ "kind": "cuda", "index": 0 })");
  const Ended no_gpu = run_program(folder, {"check", folder / "tiny.json"});
  CHECK(no_gpu.code == 3);
  CHECK(no_gpu.err_has("--map first=cpu"));
  CHECK(run_program(folder, {"check", folder / "tiny.json", "--map", "first=cpu"}).code == 0);
  CHECK(run_program(folder, {"check", folder / "tiny.json", "--map", "first=cpu", "--set", "data.set=nowhere"}).code ==
        3);
}

TEST_CASE("check: every error of a file, one a line, with line and column; exit code 2") {
  const TemporaryFolder folder;
  const std::string graph = write_tiny_graph(folder);
  std::string text = read_text(graph);
  const auto replace = [&](const std::string& from, const std::string& to) {
    text.replace(text.find(from), from.size(), to);
  };
  replace("\"kernel\": 3", "\"kernal\": 3");
  replace("\"out_features\": 4", "\"out_features\": -4");
  replace("\"epochs\": 2", "\"epochs\": \"two\"");
  write_text(graph, text);
  const Ended ended = run_program(folder, {"check", graph});
  CHECK(ended.code == 2);
  CHECK(ended.out == "");
  CHECK(std::count(ended.err.begin(), ended.err.end(), '\n') >= 3);
  CHECK(ended.err_has(graph + ":6:"));
  CHECK(ended.err_has("did you mean 'kernel'?"));
  CHECK(ended.err_has(graph + ":9:"));
  CHECK(ended.err_has("training.epochs"));
}

TEST_CASE("check: what is no graph file") {
  const TemporaryFolder folder;
  const std::string graph = write_tiny_graph(folder);
  struct Wrong {
    std::string content, said;
  };
  for (const Wrong& wrong : {Wrong{"", ""}, Wrong{"{", ""}, Wrong{"[1, 2]", ""}, Wrong{"\xff\xfe", "UTF-8"},
                             Wrong{std::string(100000, '['), ""}, Wrong{std::string(5 << 20, ' '), ""}}) {
    write_text(folder / "wrong.json", wrong.content);
    const Ended ended = run_program(folder, {"check", folder / "wrong.json"});
    CHECK(ended.code == 2);
    CHECK(ended.err_has("wrong.json"));
    CHECK(ended.err_has(wrong.said));
    CHECK(ended.seconds < 20);
  }
  CHECK(run_program(folder, {"check", folder.path().string()}).code == 2);
  CHECK(run_program(folder, {"check", "/dev/null"}).code == 2);
  for (const char* set :
       {"training.epochs", "=3", "training.epoch=3", "training.epochs=three", "layers.conv9.kernel=3"}) {
    const Ended ended = run_program(folder, {"check", graph, "--set", set});
    CHECK_MESSAGE(ended.code == 2, set);
    CHECK(ended.err_has(std::string("--set ") + set));
  }
  for (const char* map : {"first", "second=cpu", "first=nowhere"})
    CHECK_MESSAGE(run_program(folder, {"check", graph, "--map", map}).code == 2, map);
}

TEST_CASE("check: a schedule that cannot run is exit code 2") {
  const TemporaryFolder folder;
  const Ended ended = run_program(folder, {"check", write_tiny_graph(folder), "--set", "pipeline.in_flight=1"});
  CHECK(ended.code == 2);
  CHECK(ended.err_has("in_flight"));
}

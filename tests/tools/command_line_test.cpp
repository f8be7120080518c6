#include <doctest/doctest.h>

#include <algorithm>
#include <regex>
#include <set>

#include "tests/tools/tiny_set.h"

using namespace lenet_flow::test;

namespace {

const std::vector<std::vector<std::string>> every_command{
    {}, {"run"}, {"check"}, {"eval"}, {"profile"}, {"compare"}, {"verify"}, {"devices"}, {"data"}, {"data", "get"}};

std::string source_file(const std::string& path) {
  const char* root = std::getenv("LENET_FLOW_SOURCE");
  REQUIRE_MESSAGE(root != nullptr, "LENET_FLOW_SOURCE is the source folder; meson test sets it");
  const std::string text = read_text(std::filesystem::path(root) / path);
  REQUIRE(!text.empty());
  return text;
}

/// "--epochs", ... of one command's help.
std::set<std::string> options_in_help(const TemporaryFolder& folder, std::vector<std::string> command) {
  command.push_back("--help");
  const Ended help = run_program(folder, command);
  REQUIRE(help.code == 0);
  std::set<std::string> options;
  // The list of options ends where the examples begin.
  const std::string list = help.out.substr(0, help.out.find("Example"));
  const std::regex option("(?:^|\n)  (?:-., ?)?(--[a-z-]+)");
  for (std::sregex_iterator found(list.begin(), list.end(), option), end; found != end; ++found)
    options.insert((*found)[1]);
  return options;
}

std::string without_backslashes(std::string text) {
  text.erase(std::remove(text.begin(), text.end(), '\\'), text.end());
  return text;
}

/// `word` in `text`, with no letter or dash beside it.
bool has_word(const std::string& text, const std::string& word) {
  return std::regex_search(text, std::regex("(^|[^a-z-])" + word + "($|[^a-z-])"));
}

}  // namespace

TEST_CASE("help of every command: on standard output, with examples, exit code 0") {
  const TemporaryFolder folder;
  for (auto command : every_command) {
    command.push_back("--help");
    const Ended help = run_program(folder, command);
    CHECK(help.code == 0);
    CHECK(help.err == "");
    CHECK(help.out_has("Usage: lenet-flow"));
    CHECK(help.out_has("Example"));
    CHECK(help.out_has("--version"));
  }
}

TEST_CASE("man page and completions have every command and option of the help") {
  const TemporaryFolder folder;
  const std::string man = without_backslashes(source_file("tools/lenet-flow.1"));
  const std::string bash = source_file("tools/completions/lenet-flow.bash");
  const std::string zsh = source_file("tools/completions/_lenet-flow");
  const std::string fish = source_file("tools/completions/lenet-flow.fish");
  std::set<std::string> all;
  for (const auto& command : every_command) {
    const auto options = options_in_help(folder, command);
    CHECK(options.size() >= 2);
    all.insert(options.begin(), options.end());
    for (const std::string& word : command)
      for (const std::string* text : {&man, &bash, &zsh, &fish}) CHECK_MESSAGE(has_word(*text, word), word);
  }
  CHECK(all.size() >= 19);
  for (const std::string& option : all) {
    CHECK_MESSAGE(has_word(man, option), "man page: " << option);
    CHECK_MESSAGE(has_word(bash, option), "bash: " << option);
    // zsh writes -q and --quiet as {-q,--quiet}.
    CHECK_MESSAGE(zsh.find(option) != std::string::npos, "zsh: " << option);
    CHECK_MESSAGE(has_word(fish, "-l " + option.substr(2)), "fish: " << option);
  }
}

TEST_CASE("version") {
  const TemporaryFolder folder;
  for (auto command : every_command) {
    command.push_back("--version");
    const Ended version = run_program(folder, command);
    CHECK(version.code == 0);
    CHECK(std::regex_match(version.out, std::regex("lenet-flow [0-9]+\\.[0-9]+\\.[0-9]+\n")));
  }
}

TEST_CASE("wrong options: exit code 2 and a line that says what would be right") {
  const TemporaryFolder folder;
  const std::string graph = write_tiny_graph(folder);
  struct Wrong {
    std::vector<std::string> arguments;
    std::string said;
  };
  const std::vector<Wrong> wrongs{
      {{}, "a command is missing"},
      {{"rum", graph}, "unknown command 'rum'; did you mean 'run'?"},
      {{"paint", graph}, "unknown command 'paint'; known: "},
      {{"profiel", graph}, "unknown command 'profiel'; did you mean 'profile'?"},
      {{"run"}, "GRAPH"},
      {{"run", graph, "--epoch", "3"}, "unknown option '--epoch'; did you mean '--epochs'?"},
      {{"run", graph, "--epcohs=3"}, "unknown option '--epcohs'; did you mean '--epochs'?"},
      {{"run", "--zzzz", graph}, "unknown option '--zzzz'"},
      {{"run", graph, "--trave", "file"}, "unknown option '--trave'; did you mean '--trace'?"},
      {{"run", graph, "--report"}, "--report"},
      {{"run", graph, "second.json"}, "unexpected argument 'second.json'"},
      {{"run", graph, "--epochs"}, "--epochs"},
      {{"run", graph, "--epochs", "three"}, "expected a whole number from 1"},
      {{"run", graph, "--epochs", "0"}, "expected a whole number from 1"},
      {{"run", graph, "--epochs", "-3"}, "expected a whole number from 1"},
      {{"run", graph, "--epochs", "1.5"}, "got '1.5'"},
      {{"run", graph, "--epochs", "99999999999999999999999"}, "got '99999999999999999999999'"},
      {{"run", graph, "--seed", "-1"}, "got '-1'"},
      {{"run", graph, "--limit", "0"}, "got '0'"},
      {{"run", graph, "--resume"}, "--checkpoint"},
      {{"run", graph, "--quiet", "--verbose"}, "--quiet"},
      {{"eval", graph}, "--parameters"},
      {{"check", graph, "--checkpoint", "x"}, "unknown option '--checkpoint'"},
      {{"devices", "now"}, "unexpected argument 'now'"},
      {{"data", "gat", "mnist"}, "unknown command 'gat'; did you mean 'get'?"},
      {{"data", "get"}, "NAME"},
  };
  for (const Wrong& wrong : wrongs) {
    const Ended ended = run_program(folder, wrong.arguments);
    CHECK(ended.code == 2);
    CHECK(ended.out == "");
    CHECK_MESSAGE(ended.err_has(wrong.said), wrong.said << " in: " << ended.err);
    CHECK(ended.err.starts_with("lenet-flow"));
    CHECK(std::count(ended.err.begin(), ended.err.end(), '\n') == 1);
  }
}

TEST_CASE("--set and --map take one value each and leave the graph file alone") {
  const TemporaryFolder folder;
  const std::string graph = write_tiny_graph(folder);
  const Ended ended = run_program(
      folder, {"check", "--set", "training.batch=32", "--map", "first=cpu1", "--set", "training.epochs=3", graph});
  CHECK_MESSAGE(ended.code == 0, ended.err);
}

TEST_CASE("a graph file that is not there: exit code 2; one of a like name beside it is said") {
  const TemporaryFolder folder;
  const Ended nowhere = run_program(folder, {"run", folder / "quite/another_thing.json"});
  CHECK(nowhere.code == 2);
  CHECK(nowhere.err_has("another_thing.json: no such file\n"));
  write_tiny_graph(folder);
  for (const char* name : {"tony.json", "tiny"}) {
    const Ended beside = run_program(folder, {"run", folder / name});
    CHECK(beside.code == 2);
    CHECK_MESSAGE(beside.err_has("did you mean '" + (folder / "tiny.json") + "'?"), beside.err);
  }
}

TEST_CASE("the installed program knows the graph files that ship with it") {
  const TemporaryFolder folder;
  Setup installed;
  installed.program = folder / "bin/lenet-flow";
  std::filesystem::create_directories(folder / "bin");
  std::filesystem::copy_file(built_program(), installed.program);
  write_text(folder / "share/lenet-flow/graphs/lenet5.json", "{}");
  write_text(folder / "share/lenet-flow/graphs/graph.schema.json", "{}");
  for (const char* name : {"lenet5.json", "graphs/lenet5.json", "lenet5", "lenet_5.json"}) {
    const Ended ended = run_program(folder, {"run", name}, {}, installed);
    CHECK(ended.code == 2);
    CHECK_MESSAGE(ended.err_has(folder / "share/lenet-flow/graphs/lenet5.json"), ended.err);
  }
  CHECK(!run_program(folder, {"run", "graph.schema.jso"}, {}, installed).err_has("did you mean"));
}

TEST_CASE("results that nobody can read are exit code 1, not success") {
  const TemporaryFolder folder;
  Setup full, closed;
  full.out_file = "/dev/full";
  closed.out_closed_pipe = true;
  for (const auto& setup : {full, closed}) {
    for (const std::vector<std::string>& arguments : {std::vector<std::string>{"devices"}, {"run", "--help"}}) {
      const Ended ended = run_program(folder, arguments, {}, setup);
      CHECK(ended.code == 1);
      CHECK(ended.signal == 0);
      CHECK(ended.err_has("cannot write to standard output"));
    }
  }
}

TEST_CASE("devices says what this machine has") {
  const TemporaryFolder folder;
  const Ended ended = run_program(folder, {"devices"});
  CHECK(ended.code == 0);
  for (const char* part : {"cpu ", "cores ", "memory ", "GiB", "gpu", "not measured yet"}) CHECK(ended.out_has(part));
}

TEST_CASE("devices --measure shows its measures and keeps them for the next time; --json says the same") {
  const TemporaryFolder folder;
  const Program::Environment here{{"XDG_CACHE_HOME", folder / "cache"}};
  const std::string result = folder / "devices.json";
  const Ended measured = run_program(folder, {"devices", "--measure", "--json", result}, here);
  CHECK(measured.code == 0);
  CHECK(measured.err == "");
  for (const char* part : {"1 CPU core ", "FLOP/s", "B/s", "triad"}) CHECK(measured.out_has(part));
  const auto kept = names_in(folder / "cache/lenet-flow/devices");
  REQUIRE(kept.size() == 1);
  const std::string path = folder / ("cache/lenet-flow/devices/" + kept[0]);
  CHECK(read_text(path) == read_text(result));

  // What is printed is the table of the measures that were kept; memory that is free differs.
  const auto table = [](const Ended& ended) {
    return ended.out.substr(std::min(ended.out.find("\n\n"), ended.out.size()));
  };
  const Ended again = run_program(folder, {"devices"}, here);
  CHECK(table(again) == table(measured));
  const Ended json = run_program(folder, {"devices", "--json", "-"}, here);
  CHECK(json.out_has("\"schema\": \"lenet-flow.devices/1\""));
  CHECK(json.out_has("\"flops\": "));

  // A file that is broken, and one of another machine under this one's name.
  for (const auto& [text, said] :
       {std::pair<std::string, std::string>{read_text(path).substr(0, 200), "is not whole JSON"},
        {std::regex_replace(read_text(path), std::regex("\"key\": \""), "\"key\": \"x"), "is of another machine"}}) {
    write_text(path, text);
    const Ended warned = run_program(folder, {"devices"}, here);
    CHECK(warned.code == 0);
    CHECK(warned.out_has("not measured yet"));
    CHECK_MESSAGE(warned.err_has("warning: " + path + ": " + said), warned.err);
    CHECK(read_text(path) == text);
  }
}

TEST_CASE("devices --measure where nothing can be kept, or written") {
  const TemporaryFolder folder;
  write_text(folder / "cache", "a file where a folder should be");
  const Ended ended = run_program(folder, {"devices", "--measure"}, {{"XDG_CACHE_HOME", folder / "cache"}});
  CHECK(ended.code == 0);
  CHECK(ended.err_has("warning: the measures are not kept: "));
  CHECK(ended.out_has("FLOP/s"));
  const Ended nowhere = run_program(folder, {"devices", "--json", folder / "none/devices.json"});
  CHECK(nowhere.code == 2);
  CHECK(nowhere.err_has("there is no folder"));
}

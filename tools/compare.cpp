#include <fmt/format.h>
#include <json/json.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <fstream>
#include <sstream>

#include "engine/training/profile.h"
#include "tools/commands.h"
#include "tools/comparison.h"
#include "tools/graph_options.h"
#include "tools/interrupt.h"
#include "tools/json_text.h"
#include "tools/output_file.h"
#include "tools/units.h"

namespace lenet_flow {
namespace {

namespace fs = std::filesystem;

struct CompareArguments : GraphArguments {
  fs::path other;
  std::vector<std::string> sets_a, sets_b;
  std::string runs = "5", steps, keep, json;
};

/// The result in a file, or nothing where the file is none: a graph file, most likely. Throws InputError where it is a
/// result of another schema.
std::optional<Json::Value> result_in(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  Json::Value json;
  std::string errors;
  if (!file || !Json::parseFromStream(Json::CharReaderBuilder(), file, &json, &errors) || !json.isObject() ||
      !json["schema"].isString())
    return {};
  const std::string schema = json["schema"].asString();
  if (schema != "lenet-flow.run/1")
    throw InputError({Diagnostic{
        {path.string(), 0, 0},
        "schema",
        fmt::format("expected the result of a run or a profile, \"lenet-flow.run/1\", got \"{}\"", schema)}});
  return json;
}

/// The results in a file or a folder; empty where it is a graph file.
std::vector<Json::Value> results_in(const fs::path& path) {
  std::vector<fs::path> files{path};
  std::error_code error;
  const bool is_folder = fs::is_directory(path, error);
  if (is_folder) {
    files.clear();
    for (const auto& entry : fs::directory_iterator(path))
      if (entry.path().extension() == ".json") files.push_back(entry.path());
    std::sort(files.begin(), files.end());
  }
  std::vector<Json::Value> results;
  for (const fs::path& file : files)
    if (auto result = result_in(file)) results.push_back(std::move(*result));
  if (is_folder && results.empty())
    throw InputError(
        {Diagnostic{{path.string(), 0, 0}, "", "expected a folder with results of runs (--json, --keep)"}});
  return results;
}

/// One side of an interleaved comparison.
class Side {
 public:
  Side(const CompareArguments& arguments, bool is_b, ProgressDisplay& display)
      : arguments_(arguments), name_(is_b ? "B" : "A") {
    GraphArguments graph = arguments;
    if (is_b) graph.graph = arguments.other;
    const auto& sets = is_b ? arguments.sets_b : arguments.sets_a;
    graph.sets.insert(graph.sets.end(), sets.begin(), sets.end());
    options_ = run_options(graph, display);
    options_.progress = {};
  }

  /// Run `number` (from 0), with a seed of its own: the file's, plus the number. False where it was interrupted.
  bool run(std::uint64_t number) {
    RunOptions options = options_;
    if (number > 0) options.changes.sets.push_back(fmt::format("training.seed={}", seed_ + number));
    const RunResult result =
        arguments_.steps.empty() ? run_graph(options) : profile_graph(options, {20, std::stoull(arguments_.steps)});
    if (result.interrupted) return false;
    if (number == 0) seed_ = result.seed;
    const std::string text = result_json(result);
    Json::Value& json = results_.emplace_back();
    std::istringstream(text) >> json;
    if (!arguments_.keep.empty()) {
      const fs::path folder = fs::path(arguments_.keep) / (name_ == "A" ? "a" : "b");
      fs::create_directories(folder);
      OutputFile("--keep", folder / fmt::format("{:03}.json", number + 1)).write(text);
    }
    if (!arguments_.quiet)
      print_error(fmt::format("{} run {}: {} images/s in {}\n", name_, number + 1,
                              count_text(std::llround(result.images_per_second)), duration_text(result.wall_seconds)));
    return true;
  }
  const std::vector<Json::Value>& results() const { return results_; }

 private:
  const CompareArguments& arguments_;
  std::string name_;
  RunOptions options_;
  std::uint64_t seed_ = 0;
  std::vector<Json::Value> results_;
};

/// Runs both graph files in turn; nothing where it was interrupted.
std::optional<Comparison> run_both(const CompareArguments& arguments) {
  ProgressDisplay display(Terminal::of(2), arguments.verbosity());
  Side a(arguments, false, display), b(arguments, true, display);
  if (!arguments.keep.empty()) check_output_folder("--keep", arguments.keep);
  stop_gently();
  const std::uint64_t runs = std::stoull(arguments.runs);
  for (std::uint64_t number = 0; number < runs; ++number)
    if (!a.run(number) || !b.run(number)) return {};
  return compare_results(a.results(), b.results(), true);
}

std::string name_of(const fs::path& path, const std::vector<std::string>& sets) {
  std::string name = path.string();
  for (const std::string& set : sets) name += " --set " + set;
  return name;
}

ExitCode compare(const CompareArguments& arguments) {
  std::optional<OutputFile> json;
  if (!arguments.json.empty() && arguments.json != "-") json.emplace("--json", arguments.json);
  const auto a = results_in(arguments.graph), b = results_in(arguments.other);
  if (a.empty() != b.empty())
    throw InputError(fmt::format("compare: {} is a result and {} is none: expected two graph files, or two results",
                                 (a.empty() ? arguments.other : arguments.graph).string(),
                                 (a.empty() ? arguments.graph : arguments.other).string()));
  std::optional<Comparison> comparison;
  if (a.empty())
    comparison = run_both(arguments);
  else
    comparison = compare_results(a, b, false);
  if (!comparison) {
    print_error("lenet-flow: interrupted\n");
    return ExitCode::interrupted;
  }
  comparison->a = name_of(arguments.graph, arguments.sets_a);
  comparison->b = name_of(arguments.other, arguments.sets_b);
  if (json) json->write(comparison_json(*comparison));
  print(arguments.json == "-" ? comparison_json(*comparison)
                              : comparison_text(*comparison, arguments.verbose, Terminal::of(1)));
  return ExitCode::done;
}

}  // namespace

void add_compare(CLI::App& program, Command& chosen) {
  const auto arguments = std::make_shared<CompareArguments>();
  CLI::App* command = program.add_subcommand(
      "compare", "two graph files, run in turn, or two results: what differs, and whether that can be chance");
  add_graph_options(*command, *arguments);
  command->get_option("GRAPH")->description("A: a graph file, a result (--json of run or profile) or a folder of them");
  command->add_option("OTHER", arguments->other, "B: the same")->option_text(" ")->required();
  command->add_option("--set-a", arguments->sets_a, "--set for A only; repeatable")
      ->option_text("PATH=VALUE")
      ->allow_extra_args(false);
  command->add_option("--set-b", arguments->sets_b, "--set for B only; repeatable")
      ->option_text("PATH=VALUE")
      ->allow_extra_args(false);
  command->add_option("--runs", arguments->runs, "runs of each, A B A B (default 5); run i has the file's seed + i - 1")
      ->option_text("N")
      ->check(whole_number(1, 10'000));
  command->add_option("--steps", arguments->steps, "run so many batches instead of whole trainings; no accuracy then")
      ->option_text("N")
      ->check(whole_number(1, 1'000'000'000));
  command->add_option("--keep", arguments->keep, "write each run's result to DIR/a and DIR/b")->option_text("DIR");
  command->add_option("--json", arguments->json, "the result as JSON; '-' is standard output")->option_text("FILE");
  command->footer(
      "Examples:\n"
      "  lenet-flow compare graphs/lenet5.json graphs/lenet5_two_cores.json --steps 200\n"
      "  lenet-flow compare graphs/lenet5.json graphs/lenet5.json --set-b pipeline.micro_batch=8 --runs 10 --limit "
      "6000\n"
      "  lenet-flow compare before.json after.json");
  command->callback([arguments, &chosen] { chosen = [arguments] { return compare(*arguments); }; });
}

}  // namespace lenet_flow

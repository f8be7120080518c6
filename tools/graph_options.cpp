#include "tools/graph_options.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <limits>

#include "tools/interrupt.h"

namespace lenet_flow {
namespace {

namespace fs = std::filesystem;

std::string& typed_command() {
  static std::string text;
  return text;
}

std::string shell_quoted(const std::string& argument) {
  constexpr std::string_view plain = "%+,-./:=@_";
  const bool bare = !argument.empty() && std::all_of(argument.begin(), argument.end(), [&](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) || plain.find(c) != std::string_view::npos;
  });
  if (bare) return argument;
  std::string quoted = "'";
  for (const char c : argument) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

/// The folder of the graph files that ship: beside the installed program, or beside the build folder; else empty.
fs::path shipped_graphs() {
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  if (error) return {};
  for (const char* relative : {"../share/lenet-flow/graphs", "../../graphs"}) {
    const fs::path folder = (program.parent_path() / relative).lexically_normal();
    if (fs::exists(folder / "lenet5.json", error)) return folder;
  }
  return {};
}

/// The graph files of a folder, by name.
std::vector<std::string> graph_names(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error))
    if (entry.path().extension() == ".json" && entry.path().filename() != "graph.schema.json")
      names.push_back(entry.path().filename().string());
  return names;
}

/// Throws where there is no such file, naming one with a like name beside it or among those that ship.
void require_graph(const fs::path& graph) {
  std::error_code error;
  if (fs::exists(graph, error)) return;
  const std::string wanted = graph.filename().string() + (graph.has_extension() ? "" : ".json");
  std::string message = "no such file";
  for (const fs::path& folder : {graph.parent_path(), shipped_graphs()}) {
    const std::string near = nearest_name(wanted, graph_names(folder.empty() ? fs::path(".") : folder));
    if (near.empty()) continue;
    message += fmt::format("; did you mean '{}'?", (folder / near).string());
    break;
  }
  throw InputError({Diagnostic{{graph.string(), 0, 0}, "", message}});
}

}  // namespace

CLI::Validator whole_number(std::uint64_t minimum, std::uint64_t maximum) {
  return CLI::Validator(
      [=](std::string& text) -> std::string {
        std::uint64_t number = 0;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
        if (error == std::errc() && end == text.data() + text.size() && number >= minimum && number <= maximum)
          return {};
        return maximum == std::numeric_limits<std::uint64_t>::max()
                   ? fmt::format("expected a whole number from {} on, got '{}'", minimum, text)
                   : fmt::format("expected a whole number from {} to {}, got '{}'", minimum, maximum, text);
      },
      "");
}

void add_graph_options(CLI::App& command, GraphArguments& arguments) {
  command.add_option("GRAPH", arguments.graph, "the graph file")->option_text(" ")->required();
  command.add_option("--set", arguments.sets, "replace a field of the file; repeatable")
      ->option_text("PATH=VALUE")
      ->allow_extra_args(false);
  command.add_option("--map", arguments.maps, "put a device of the file on something this machine has; repeatable")
      ->option_text("DEVICE=WHAT")
      ->allow_extra_args(false);
  command
      .add_option("--inject", arguments.injects,
                  "make a layer, a device or a link slower on purpose: conv2=+200us, cpu1=x1.5, "
                  "link:conv1->fc=+50us,1GB/s; repeatable")
      ->option_text("WHAT=DELAY")
      ->allow_extra_args(false);
  command.add_option("--epochs", arguments.epochs, "--set training.epochs=N")
      ->option_text("N")
      ->check(whole_number(1, 1'000'000));
  command.add_option("--seed", arguments.seed, "--set training.seed=N")
      ->option_text("N")
      ->check(whole_number(0, std::numeric_limits<std::uint64_t>::max()));
  command.add_option("--limit", arguments.limit, "take the first N training images")
      ->option_text("N")
      ->check(whole_number(1, 1'000'000'000'000));
  command.add_option("--data", arguments.data, "a folder with one folder a data set; looked at first")
      ->option_text("DIR");
  auto* quiet = command.add_flag("-q,--quiet", arguments.quiet, "no progress; results, warnings and errors only")
                    ->option_text(" ");
  command.add_flag("-v,--verbose", arguments.verbose, "say more")->excludes(quiet)->option_text(" ");
}

void add_init_option(CLI::App& command, GraphArguments& arguments) {
  command.add_option("--init", arguments.init, "start from these parameters (safetensors)")->option_text("FILE");
}

RunOptions run_options(const GraphArguments& arguments, ProgressDisplay& display) {
  require_graph(arguments.graph);
  RunOptions options;
  options.graph = arguments.graph;
  options.changes.sets = arguments.sets;
  options.changes.maps = arguments.maps;
  options.changes.injects = arguments.injects;
  if (arguments.epochs) options.changes.sets.push_back("training.epochs=" + *arguments.epochs);
  if (arguments.seed) options.changes.sets.push_back("training.seed=" + *arguments.seed);
  if (arguments.limit) options.limit = std::stoll(*arguments.limit);
  options.data = arguments.data;
  if (!arguments.init.empty()) options.init = arguments.init;
  options.command = command_line();
  options.stop = stop_requests();
  options.progress = [&display](const Progress& progress) { display.update(progress); };
  options.warning = [&display](const std::string& line) { display.warn(line); };
  return options;
}

void remember_command_line(int argc, const char* const* argv) {
  std::string& text = typed_command();
  text = "lenet-flow";
  for (int i = 1; i < argc; ++i) text += " " + shell_quoted(argv[i]);
}

const std::string& command_line() { return typed_command(); }

}  // namespace lenet_flow

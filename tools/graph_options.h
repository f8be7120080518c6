#pragma once

#include <CLI/App.hpp>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/training/trainer.h"
#include "tools/progress.h"

namespace lenet_flow {

/// The options of a command that takes a GRAPH, as typed.
struct GraphArguments {
  std::filesystem::path graph;
  std::vector<std::string> sets, maps, injects;
  std::optional<std::string> epochs, seed, limit;
  std::filesystem::path data;
  std::string init;
  bool quiet = false, verbose = false;

  Verbosity verbosity() const { return quiet ? Verbosity::quiet : verbose ? Verbosity::verbose : Verbosity::normal; }
};

/// Adds GRAPH, --set, --map, --inject, --epochs, --seed, --limit, --data, --quiet and --verbose to `command`, which
/// writes to `arguments` while the command line is read.
void add_graph_options(CLI::App& command, GraphArguments& arguments);
/// Adds --init.
void add_init_option(CLI::App& command, GraphArguments& arguments);

/// What the engine is asked, with warnings and progress shown on `display` and Ctrl-C passed on. Throws InputError
/// where there is no such graph file, with the ones that ship where a name is like theirs.
RunOptions run_options(const GraphArguments& arguments, ProgressDisplay& display);

/// A check of CLI11 for whole numbers in [minimum, maximum].
CLI::Validator whole_number(std::uint64_t minimum, std::uint64_t maximum);

/// The command line as a shell would take it, for results. Set once by main().
void remember_command_line(int argc, const char* const* argv);
const std::string& command_line();

}  // namespace lenet_flow

// The `lenet-flow` program: reads the command line, runs the chosen command, turns what went wrong into lines on
// standard error and an exit code.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <new>
#include <system_error>

#include "engine/graph/diagnostics.h"
#include "engine/training/version.h"
#include "tools/commands.h"
#include "tools/graph_options.h"
#include "tools/interrupt.h"
#include "tools/terminal.h"

namespace lenet_flow {
namespace {

constexpr const char* version = "lenet-flow " LENET_FLOW_VERSION;

void add_commands(CLI::App& program, Command& chosen) {
  program.require_subcommand(1);
  program.get_formatter()->column_width(34);
  add_run(program, chosen);
  add_check(program, chosen);
  add_eval(program, chosen);
  add_profile(program, chosen);
  add_compare(program, chosen);
  add_verify(program, chosen);
  add_devices(program, chosen);
  add_data(program, chosen);
  for (CLI::App* command : program.get_subcommands({})) command->set_version_flag("--version", version);
  program.set_version_flag("--version", version);
  program.footer(
      "Examples:\n"
      "  lenet-flow run graphs/split_conv_gpu.json\n"
      "  lenet-flow check graphs/lenet5_two_cores.json\n"
      "  lenet-flow COMMAND --help\n"
      "\n"
      "Exit codes: 0 done; 1 the run failed; 2 the input is wrong; 3 this machine lacks something;\n"
      "4 done, but a limit was exceeded; 130 interrupted.");
}

/// The command that the line had got to when it went wrong.
CLI::App& deepest(CLI::App& app) {
  const auto parsed = app.get_subcommands();
  return parsed.empty() ? app : deepest(*parsed.back());
}

std::string command_path(const CLI::App& app) {
  return app.get_parent() ? command_path(*app.get_parent()) + " " + app.get_name() : "lenet-flow";
}

std::vector<std::string> long_options(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options())
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  return names;
}

std::vector<std::string> command_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; }))
    names.push_back(command->get_name());
  return names;
}

/// What is wrong with the command line, in a line that says what would be right.
std::string explain(CLI::App& app, const CLI::ParseError& error) {
  for (const std::string& extra : app.remaining()) {
    if (extra.size() > 1 && extra[0] == '-') {
      const std::string name = extra.substr(0, extra.find('='));
      const std::string near = nearest_name(name, long_options(app));
      return near.empty() ? fmt::format("unknown option '{}'", name)
                          : fmt::format("unknown option '{}'; did you mean '{}'?", name, near);
    }
  }
  if (const auto extras = app.remaining(); !extras.empty()) {
    const auto commands = command_names(app);
    return commands.empty() ? fmt::format("unexpected argument '{}'", extras[0])
                            : fmt::format("unknown command {}", with_suggestion(extras[0], commands));
  }
  if (dynamic_cast<const CLI::RequiredError*>(&error) && !app.get_parent()) return "a command is missing";
  return error.what();
}

ExitCode report_command_line(CLI::App& program, const CLI::ParseError& error) {
  CLI::App& app = deepest(program);
  print_error(fmt::format("{}: {} (see '{} --help')\n", command_path(app), explain(app, error), command_path(app)));
  return ExitCode::wrong_input;
}

void report(const std::string& line) {
  print_error(styled(Terminal::of(2), Style::red, "lenet-flow: error:") + " " + line + "\n");
}

/// Lines that begin with a file are left as they are: editors find the place in them.
void report(const InputError& error) {
  if (error.diagnostics().empty() || error.diagnostics()[0].where.file.empty())
    report(std::string(error.what()));
  else
    print_error(std::string(error.what()) + "\n");
}

ExitCode run_command(const Command& command) {
  try {
    return command();
  } catch (const InputError& error) {
    report(error);
    return ExitCode::wrong_input;
  } catch (const MissingError& error) {
    report(error.what());
    return ExitCode::missing;
  } catch (const std::bad_alloc&) {
    report("out of memory");
  } catch (const std::exception& error) {  // RunError, OutputError, std::system_error: they say all
    report(error.what());
  }
  return ExitCode::failed;
}

/// Reads the command line. Returns the exit code where that is the end of it: help, version, an error.
std::optional<ExitCode> parse(CLI::App& program, int argc, char** argv) {
  try {
    program.parse(argc, argv);
    return {};
  } catch (const CLI::CallForHelp&) {
    const CLI::App& app = deepest(program);
    print(app.help(app.get_parent() ? command_path(*app.get_parent()) : ""));
  } catch (const CLI::CallForVersion& called) {
    print(fmt::format("{}\n", called.what()));
  } catch (const CLI::ParseError& error) {
    return report_command_line(program, error);
  }
  return ExitCode::done;
}

ExitCode main_with(int argc, char** argv) {
  handle_signals();
  remember_command_line(argc, argv);
  CLI::App program("lenet-flow: pipeline-parallel training of convolutional networks as one dataflow graph",
                   "lenet-flow");
  Command chosen;
  add_commands(program, chosen);
  return run_command([&] {
    const auto ended = parse(program, argc, argv);
    return ended ? *ended : chosen();
  });
}

}  // namespace
}  // namespace lenet_flow

int main(int argc, char** argv) { return static_cast<int>(lenet_flow::main_with(argc, argv)); }

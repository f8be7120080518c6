#include <CLI/CLI.hpp>
#include <memory>
#include <optional>

#include "engine/plan/this_machine.h"
#include "tools/commands.h"
#include "tools/devices_tables.h"
#include "tools/output_file.h"
#include "tools/terminal.h"

namespace lenet_flow {
namespace {

struct DevicesArguments {
  std::string json;
  bool measure = false;
};

/// Keeps the measures for the next time. Where that cannot be, a warning says so: they are printed all the same.
void keep(const ThisMachine& machine) {
  const std::filesystem::path path = measures_file(machine_key(machine));
  if (path.empty()) return print_warning("the measures are not kept: neither XDG_CACHE_HOME nor HOME names a folder");
  try {
    std::filesystem::create_directories(path.parent_path());
    OutputFile("--measure", path).write(machine_json(machine));
  } catch (const std::exception& error) {
    print_warning(std::string("the measures are not kept: ") + error.what());
  }
}

ExitCode devices(const DevicesArguments& arguments) {
  std::optional<OutputFile> json;
  if (!arguments.json.empty() && arguments.json != "-") json.emplace("--json", arguments.json);
  ThisMachine machine = look_at_this_machine();
  std::vector<std::string> warnings;
  if (arguments.measure)
    machine.measures = measure_machine(machine.gpus, warnings);
  else
    machine.measures = cached_measures(machine, warnings);
  for (const std::string& warning : warnings) print_warning(warning);
  // Measures that are not whole are shown, not kept.
  if (arguments.measure && warnings.empty()) keep(machine);
  if (json) json->write(machine_json(machine));
  print(arguments.json == "-" ? machine_json(machine) : devices_tables(machine, Terminal::of(1)));
  return ExitCode::done;
}

}  // namespace

void add_devices(CLI::App& program, Command& chosen) {
  const auto arguments = std::make_shared<DevicesArguments>();
  CLI::App* command = program.add_subcommand("devices", "what this machine has, and how fast it is");
  command->add_flag("--measure", arguments->measure, "measure devices and links anew, and keep that for the next time")
      ->option_text(" ");
  command->add_option("--json", arguments->json, "the same as JSON; '-' is standard output")->option_text("FILE");
  command->footer("Examples:\n  lenet-flow devices\n  lenet-flow devices --measure\n  lenet-flow devices --json -");
  command->callback([arguments, &chosen] { chosen = [arguments] { return devices(*arguments); }; });
}

}  // namespace lenet_flow

#pragma once

#include <CLI/App.hpp>
#include <functional>

#include "tools/exit_code.h"

namespace lenet_flow {

/// What the chosen command does. Throws InputError, MissingError, RunError, OutputError and others: main() turns them
/// into a line and an exit code.
using Command = std::function<ExitCode()>;

// Each adds its command to the program and, where the command line chooses it, sets `chosen`.
void add_run(CLI::App& program, Command& chosen);
void add_check(CLI::App& program, Command& chosen);
void add_eval(CLI::App& program, Command& chosen);
void add_profile(CLI::App& program, Command& chosen);
void add_verify(CLI::App& program, Command& chosen);
void add_compare(CLI::App& program, Command& chosen);
void add_devices(CLI::App& program, Command& chosen);
void add_data(CLI::App& program, Command& chosen);

}  // namespace lenet_flow

#pragma once

#include <string>

#include "engine/plan/this_machine.h"
#include "tools/terminal.h"

namespace lenet_flow {

/// What `devices` prints: facts of the CPU and each GPU, and, where they were taken, measures of devices and links.
std::string devices_tables(const ThisMachine& machine, const Terminal& terminal);

}  // namespace lenet_flow

#pragma once

#include <string>

#include "engine/training/trainer.h"
#include "tools/exit_code.h"
#include "tools/terminal.h"

namespace lenet_flow {

/// What `verify` prints: that all is equal, or which parameters differ, in how many elements and by how much.
std::string verification_text(const Verification& verification, const Terminal& terminal);
/// Schema lenet-flow.verify/1. `graph` as typed.
std::string verification_json(const Verification& verification, const std::string& graph);
/// limit_exceeded where a parameter differs.
ExitCode exit_code_of(const Verification& verification);

}  // namespace lenet_flow

#pragma once

#include <string>

#include "engine/training/verify.h"
#include "tools/exit_code.h"
#include "tools/terminal.h"

namespace lenet_flow {

/// What `verify` prints: that all is equal, or the first step and layer that differ, and every tensor that does.
std::string verification_text(const Verification& verification, const Terminal& terminal);
/// Schema lenet-flow.verify/1. `graph` as typed.
std::string verification_json(const Verification& verification, const std::string& graph);
/// limit_exceeded where something differs.
ExitCode exit_code_of(const Verification& verification);

/// The same of `verify --reference cpu`: a table of the layers' worst errors.
std::string verification_text(const LayerVerification& verification, const Terminal& terminal);
std::string verification_json(const LayerVerification& verification, const std::string& graph);
/// limit_exceeded where a layer is out of its tolerance.
ExitCode exit_code_of(const LayerVerification& verification);

}  // namespace lenet_flow

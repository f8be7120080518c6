#pragma once

#include <string>

#include "engine/training/result.h"
#include "tools/terminal.h"

namespace lenet_flow {

/// What `run` prints at the end: where each stage's time went, the epochs, the whole run. `all`: every state, layer and
/// epoch, however many; otherwise states that are nearly nothing are left out and long lists shortened. `checkpoint`:
/// the newest one, or empty.
std::string result_tables(const RunResult& result, const std::string& checkpoint, bool all, const Terminal& terminal);

}  // namespace lenet_flow

#pragma once

#include <string>
#include <vector>

#include "engine/training/result.h"
#include "tools/terminal.h"

namespace lenet_flow {

/// What `profile` prints: stages with each stall and its root, devices, the slowest layers, causes, the closing line.
/// `all`: every state and layer.
std::string profile_tables(const RunResult& result, bool all, const Terminal& terminal);

/// A limit on a state's share of any stage's time.
struct StallLimit {
  State state;
  double share = 0;  ///< 0.05 for 5%
};
/// Reads "starved=5%,transfer=10%". Throws InputError with what would be right.
std::vector<StallLimit> parse_budget(const std::string& text);
/// One line for each stage and state over its limit.
std::vector<std::string> over_budget(const RunResult& result, const std::vector<StallLimit>& limits);

}  // namespace lenet_flow

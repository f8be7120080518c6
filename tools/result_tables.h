#pragma once

#include <string>
#include <vector>

#include "engine/training/result.h"
#include "tools/terminal.h"

namespace lenet_flow {

/// What `run` prints at the end: where each stage's time went, the epochs, the whole run. `all`: every state, layer and
/// epoch, however many; otherwise states that are nearly nothing are left out and long lists shortened. `checkpoint`:
/// the newest one, or empty.
std::string result_tables(const RunResult& result, const std::string& checkpoint, bool all, const Terminal& terminal);

/// One row a stage and replica: device, layers, images/s, memory, and each state's share of the time (and, of that,
/// of injected delays, where there are any); with `roots` also
/// what its waiting comes from in the end. `all`: states that are nearly nothing too.
std::string stage_table(const RunResult& result, bool all, bool roots, const Terminal& terminal);
/// "bubble 31.2% of the devices' time without compute; 20.0% in theory, were all stages equal".
std::string bubble_text(const RunResult& result);
/// The times that schedule `auto` is made for.
std::string costs_table(const std::vector<StageCostsResult>& stages, const Terminal& terminal);

}  // namespace lenet_flow

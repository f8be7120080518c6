#pragma once

#include <deque>
#include <string>

#include "engine/graph/json_value.h"

namespace lenet_flow {

/// Replaces one field of a graph file's JSON as `--set PATH=VALUE` says, or makes it where its object exists or can be
/// made (training.epochs in a file with no "training"). Entries of lists go by their "name", or by their number from
/// 0; names may hold dots. VALUE is JSON, or else a bare word as a string. The text of VALUE is kept in `sources`.
void apply_set(JsonValue& root, const std::string& set, std::deque<SourceText>& sources, Problems& problems);

}  // namespace lenet_flow

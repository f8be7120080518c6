#pragma once

#include <string>

#include "engine/graph/network.h"

namespace lenet_flow {

/// The network in Graphviz' language: a box a layer (name, type, shape of its output), a cluster a stage, a colour a
/// device, the shape of what flows on each edge. `dot -Tsvg` draws it.
std::string graphviz(const Network& network);

}  // namespace lenet_flow

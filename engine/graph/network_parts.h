#pragma once

#include "engine/graph/network.h"
#include "engine/graph/problems.h"

namespace lenet_flow {

/// The steps of make_network(), in this order. Each adds problems for what is wrong in its part.

/// Fills in `order`: topological, ties in the order of the file. Leaves out layers on a cycle, and adds a problem that
/// names it.
void order_layers(Network& network, Problems& problems);

/// Shapes, parameters and FLOPs of every layer in `order`. A layer behind one that does not fit is left with shape 0.
void infer_shapes(const GraphFile& file, Network& network, Problems& problems);

/// Gives every layer its stage (file.pipeline.stages, or neighbours on one device), and fills in `stages` and `links`.
/// Needs a whole `order`.
void cut_stages(const GraphFile& file, Network& network, Problems& problems);

/// Adds problems for hand-made stages that leave a layer out or mix devices.
void check_hand_made_stages(const GraphFile& file, const Network& network, Problems& problems);

inline std::size_t index(int number) { return static_cast<std::size_t>(number); }

/// "a -> b -> c -> a", the middle left out where it is long.
std::string cycle_text(const std::vector<std::string>& names);

}  // namespace lenet_flow

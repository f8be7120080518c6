#pragma once

#include <vector>

#include "engine/trace/causes/pass_graph.h"

namespace lenet_flow {

/// What is to be different when a pass is played through again.
struct WhatIf {
  std::vector<double> stage_factors;  ///< one a stage: its actions but updates take so many times as long; empty: 1
  std::vector<bool> free_links;       ///< one a link: its transfers take no time
  std::vector<bool> apart;            ///< one a device: each of its stages has a device of its own; empty: none
  bool own_cores = false;             ///< devices that share cores have cores of their own
  bool free_room = false;             ///< links and buffers hold any number of micro-batches
  bool free_credits = false;          ///< any number is admitted
  bool free_reader = false;           ///< the images are there
  bool free_updates = false;          ///< updates take no time
  bool free_hand_over = false;        ///< what is ready begins at once
};

/// Plays a pass through again with the durations that were measured, but for what is different, and gives its length:
/// counterfactual analysis, as Coz does by slowing down all else (Curtsinger and Berger, "Coz: Finding Code that Counts
/// with Causal Profiling", SOSP 2015), here exact because all that orders a pass is known. With nothing different it is
/// the measured length, but for what the model does not know (a core that something else ran on is in the durations).
Nanoseconds replay(const PassGraph& graph, const WhatIf& what);

}  // namespace lenet_flow

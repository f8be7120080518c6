#pragma once

#include <vector>

#include "engine/trace/causes/diagnosis.h"
#include "engine/trace/causes/pass_graph.h"

namespace lenet_flow {

/// Whom each unit's waiting is charged to: one list a unit, one entry a root, largest first. The time between two
/// actions of a unit is walked back from its end, along what came last: the action that sent it, what that one had
/// waited for, and so on to the begin of the wait. What was on that way - an action, a transfer, the reader, a busy
/// device, an update, a hand-over - is charged for its part of the time. An action of a stage that has no more to do
/// than the one that waits is no cause of its own: it is charged to the schedule. Seconds sum to the unit's time in
/// which it ran no action, from the pass's begin to its end.
std::vector<std::vector<Root>> charge_waits(const PassGraph& graph);

/// Seconds that a stage's actions but updates take in a batch, the mean over its replicas, by stage.
std::vector<double> stage_loads(const PassGraph& graph);

/// The name of a root: "stage 'conv2..fc3' on cpu1", "link 'conv1->fc'", "the reader".
std::string root_name(const TracedPipeline& pipeline, RootKind kind, int index);

}  // namespace lenet_flow

#pragma once

#include "engine/schedule/schedule.h"
#include "engine/training/session.h"

namespace lenet_flow {

/// What the actions of each stage take here, in seconds: the medians over the first few batches, trained one
/// micro-batch after another on a pipeline of its own that is thrown away, so that no stage slows another and nothing
/// of the run itself changes. A transfer is the time from the end of an action to the begin of the one on another
/// device that waits for nothing else. What could not be measured (fewer batches, stopped) stays as estimated.
ActionCosts measure_costs(Session& session);
/// The session's own options, with measured costs where its schedule is `auto`. No pipeline may be open.
PipelineOptions pipeline_options_with_costs(Session& session);

}  // namespace lenet_flow

#pragma once

#include <string>

#include "engine/pipeline/pipeline.h"
#include "engine/training/session.h"

namespace lenet_flow {

/// The HTML page of `--report`, for RunOptions::ended. Measures the devices' peak FLOP/s for it, 50 ms a device.
std::string run_report(const Session& session, const Pipeline& pipeline, const RunResult& result);

}  // namespace lenet_flow

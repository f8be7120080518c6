#pragma once

#include <cstdint>

#include "engine/training/trainer.h"

namespace lenet_flow {

/// `profile`: how many batches to run before and while time is taken.
struct ProfileSteps {
  std::uint64_t warm_up = 20;  ///< not counted
  std::uint64_t steps = 200;   ///< counted; at least 1
};

/// Trains (or infers, where the file says so) some batches and says where their time went. The result is that of `run`
/// without evaluation: accuracy and loss of the test split are NaN. Ends early where RunOptions::stop says so
/// (RunResult::interrupted). Throws what run_graph() throws.
RunResult profile_graph(const RunOptions& options, const ProfileSteps& steps);

}  // namespace lenet_flow

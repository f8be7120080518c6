#pragma once

#include <atomic>

namespace lenet_flow {

/// From here on Ctrl-C and SIGTERM end the program at once with exit code 130, and writing to a closed pipe is an
/// error like any other.
void handle_signals();

/// From here on the first Ctrl-C or SIGTERM only sets what stop_requests() points to, so that the command can finish
/// what is in flight; the second ends the program at once. What is written to files goes to temporary names first, so
/// nothing half-written stays under a final name.
void stop_gently();
const std::atomic<int>* stop_requests();

}  // namespace lenet_flow

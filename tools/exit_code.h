#pragma once

namespace lenet_flow {

/// What the program says to who started it. Scripts rely on the numbers.
enum class ExitCode {
  done = 0,
  failed = 1,          ///< the run failed
  wrong_input = 2,     ///< options, graph file, data or checkpoint are wrong
  missing = 3,         ///< this machine lacks a device or a data set
  limit_exceeded = 4,  ///< done, but a limit that the user set was exceeded: `verify` found a difference
  interrupted = 130,   ///< by Ctrl-C or SIGTERM; after a whole checkpoint where --checkpoint was given
};

}  // namespace lenet_flow

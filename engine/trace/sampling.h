#pragma once

#include <cstdint>
#include <string>

namespace lenet_flow {

/// Which batches of a run an exporter takes: `--sample N` and `--trace-steps N`. Batches count through all epochs.
struct BatchSample {
  std::int64_t every = 1;   ///< the first, and every so many after it
  std::int64_t most = 200;  ///< so many at most

  bool takes(std::int64_t batch) const { return batch % every == 0 && batch / every < most; }
  /// True where neither this batch nor a later one is taken.
  bool ends_before(std::int64_t batch) const { return (batch + every - 1) / every >= most; }
};

/// What an exporter took of a run: to be told with everything that it made.
struct TraceCoverage {
  std::int64_t sampled_every = 1, batches_at_most = 0;  ///< as asked for
  std::int64_t batches = 0;                             ///< taken
  std::int64_t batches_of_run = 0;                      ///< that the run had, all its traced passes together
  std::uint64_t written = 0;                            ///< events in the file
  std::uint64_t lost = 0;                               ///< of the engine's, for want of room
};

/// For people: "200 of 938 batches (the first 200)", "94 of 938 batches (1 in 10)", "all 938 batches".
std::string coverage_text(const TraceCoverage& coverage);

}  // namespace lenet_flow

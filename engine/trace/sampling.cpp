#include "engine/trace/sampling.h"

#include <fmt/format.h>

namespace lenet_flow {

std::string coverage_text(const TraceCoverage& coverage) {
  const auto batches = [](std::int64_t count) { return fmt::format("{} {}", count, count == 1 ? "batch" : "batches"); };
  std::string text = coverage.batches == coverage.batches_of_run
                         ? "all " + batches(coverage.batches_of_run)
                         : fmt::format("{} of {}", coverage.batches, batches(coverage.batches_of_run));
  std::string which;
  if (coverage.sampled_every > 1) which = fmt::format("1 in {}", coverage.sampled_every);
  const bool bounded = coverage.batches == coverage.batches_at_most && coverage.batches < coverage.batches_of_run;
  if (bounded) which += fmt::format("{}the first {}", which.empty() ? "" : ", ", coverage.batches);
  if (!which.empty()) text += " (" + which + ")";
  if (coverage.lost > 0) text += fmt::format("; {} events were lost", coverage.lost);
  return text;
}

}  // namespace lenet_flow

#include "engine/training/describe.h"

#include <sys/resource.h>

#include <cmath>

#include "engine/training/version.h"
#include "layers/cpu/simd.h"

namespace lenet_flow {
namespace {

std::uint64_t peak_resident_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
}

void describe_pipeline(const Session& session, const PipelinePlan& plan, RunResult& result) {
  PipelineResult& pipeline = result.pipeline;
  const PipelineOptions options = session.pipeline_options();
  pipeline.schedule = schedule_name(options);
  pipeline.stages = plan.shape.stages();
  pipeline.micro_batch = session.cut(1).micro_batch;
  pipeline.micro_batches = plan.shape.micro_batches;
  pipeline.in_flight = plan.limits.in_flight;
  if (!options.custom && options.weight_versions == WeightVersions::flush)
    pipeline.bubble_theory = find_schedule_type(pipeline.schedule)->bubble(plan.shape);
  double compute = 0;
  for (const StageResult& stage : result.stages) compute += stage.seconds.compute;
  const double all = result.seconds * static_cast<double>(result.stages.size());
  pipeline.bubble_measured = all > 0 ? 1.0 - compute / all : 0;
}

/// What no state claims is `unaccounted`, so that the states sum to `seconds`; rounding is not told.
void account_for_all(RunResult& result) {
  for (StageResult& stage : result.stages) {
    const double rest = result.seconds - stage.seconds.sum();
    if (std::abs(rest) > 1e-9) stage.seconds.unaccounted += rest;
  }
}

}  // namespace

void describe(const Session& session, const Pipeline& pipeline, RunResult& result) {
  const GraphFile& file = session.file();
  result.version = LENET_FLOW_VERSION;
  result.graph = file.name;
  result.mode = session.training() ? "train" : "infer";
  result.seed = file.training.seed;
  result.command = session.options().command;
  result.data_set = file.data.set;
  result.data_location = session.data().location;
  result.simd = simd_target();
  result.devices = session.devices().results();
  result.images_per_second = result.seconds > 0 ? static_cast<double>(result.images) / result.seconds : 0;
  result.parameters_sha256 = parameters_sha256(pipeline.parameters(false));
  result.stages = pipeline.stage_results();
  account_for_all(result);
  describe_pipeline(session, pipeline.plan(), result);
  result.peak_resident_bytes = peak_resident_bytes();
  result.warnings = session.warnings();
}

}  // namespace lenet_flow

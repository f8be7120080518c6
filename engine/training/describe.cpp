#include "engine/training/describe.h"

#include <sys/resource.h>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <set>

#include "engine/training/version.h"
#include "layers/cpu/simd.h"

namespace lenet_flow {
namespace {

std::uint64_t peak_resident_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
}

/// Where the costs of a stage are from. `unless_given`: those that the file does not give.
std::string source_of(const StageCostsEntry& given, const std::string& unless_given) {
  const std::optional<double> all[] = {given.forward, given.input_gradients, given.parameter_gradients, given.update};
  const auto count = std::count_if(std::begin(all), std::end(all), [](const auto& cost) { return cost.has_value(); });
  if (count == 0) return unless_given;
  return count == std::ssize(all) ? "given" : "given and " + unless_given;
}

/// As the graph file has it.
const char* name_of(WeightVersions versions) {
  switch (versions) {
    case WeightVersions::flush: return "flush";
    case WeightVersions::stashing: return "stashing";
    case WeightVersions::double_buffered: return "double_buffered";
  }
  return "";
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
  if (pipeline.schedule == "auto") pipeline.costs = cost_results(session.network(), plan);
  pipeline.weight_versions = name_of(options.weight_versions);
  double compute = 0, all = 0;
  for (const DeviceResult& device : result.devices) {
    if (!device.seconds) continue;
    compute += device.seconds->compute;
    all += result.seconds;
  }
  pipeline.bubble_measured = all > 0 ? 1.0 - compute / all : 0;
}

/// The devices' own accounts; devices of the file that share one of the machine show it both.
void describe_devices(const Session& session, const Pipeline& pipeline, RunResult& result) {
  for (DeviceResult& device : result.devices)
    if (session.devices().has(device.name)) {
      const int index = session.devices().index_of(device.name);
      device.seconds = pipeline.account().devices()[static_cast<std::size_t>(index)].seconds;
    }
}

void describe_steps(const Pipeline& pipeline, RunResult& result) {
  for (const StepAccount& account : pipeline.account().steps()) {
    const StageResult& stage = result.stages[static_cast<std::size_t>(account.unit)];
    const DurationHistogram& times = account.durations;
    result.steps.push_back({stage.name, stage.device, account.step, stage.replica, account.kind, times.count(),
                            times.total_seconds(), times.mean_seconds(), times.quantile_seconds(0.5),
                            times.quantile_seconds(0.9), times.quantile_seconds(0.99), times.max_seconds()});
  }
}

void describe_epochs(const Pipeline& pipeline, RunResult& result) {
  for (const EpochAccount& account : pipeline.account().epochs())
    for (EpochResult& epoch : result.epochs)
      if (epoch.epoch == account.epoch) epoch.stages = account.units;
}

void describe_trace(Pipeline& pipeline, RunResult& result) {
  const Account& account = pipeline.account();
  TraceResult& trace = result.trace;
  trace.clock = clock_source();
  trace.clock_drift_ppm = clock_drift_ppm();
  trace.events = pipeline.collector().events();
  trace.lost = account.lost();
  trace.backward = account.backward();
  trace.sleeps = account.sleeps();
  trace.asleep_seconds = account.asleep_seconds();
  trace.event_seconds = seconds_per_event();
  const double devices = static_cast<double>(account.devices().size());
  if (account.seconds() > 0) {
    trace.device_share = static_cast<double>(trace.events) * trace.event_seconds / (devices * account.seconds());
    trace.collector_share = static_cast<double>(pipeline.collector().spent()) * 1e-9 / account.seconds();
  }
}

/// What makes the accounts less than exact.
void warn_of_trace(Session& session, const TraceResult& trace) {
  constexpr double drift_to_tell = 200;
  if (trace.lost > 0)
    session.warn(fmt::format("{} of {} trace events were lost: the time that they told of is `unaccounted`", trace.lost,
                             trace.events + trace.lost));
  if (trace.backward > 0)
    session.warn(fmt::format("the clock went backward at {} trace events: some states are off", trace.backward));
  if (std::abs(trace.clock_drift_ppm) > drift_to_tell)
    session.warn(fmt::format("the {} ran away from the steady clock by {:.0f} millionths: times are off by as much",
                             trace.clock, trace.clock_drift_ppm));
}

/// What no state claims is `unaccounted`, so that the states sum to `seconds`; rounding is not told.
void account_for_all(RunResult& result) {
  for (StageResult& stage : result.stages) {
    const double rest = result.seconds - stage.seconds.sum();
    if (std::abs(rest) > 1e-9) stage.seconds.unaccounted += rest;
  }
}

}  // namespace

std::vector<StageCostsResult> cost_results(const Network& network, const PipelinePlan& plan) {
  std::vector<StageCostsResult> results;
  for (std::size_t i = 0; i < plan.costs.stages.size(); ++i) {
    const ActionCosts::StageCosts& costs = plan.costs.stages[i];
    results.push_back({network.stages[i].name,
                       source_of(network.stages[i].costs, plan.measured ? "measured" : "estimated"), costs.forward,
                       costs.input_gradients, costs.parameter_gradients, costs.update});
  }
  return results;
}

void describe(Session& session, Pipeline& pipeline, RunResult& result) {
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
  describe_devices(session, pipeline, result);
  describe_steps(pipeline, result);
  describe_epochs(pipeline, result);
  describe_trace(pipeline, result);
  warn_of_trace(session, result.trace);
  result.diagnosis = pipeline.diagnosis();
  describe_pipeline(session, pipeline.plan(), result);
  result.peak_resident_bytes = peak_resident_bytes();
  result.injected = session.delays().results;
  result.warnings = session.warnings();
}

}  // namespace lenet_flow

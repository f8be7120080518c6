#include "engine/training/run_report.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "devices/machine.h"
#include "devices/peak_flops.h"
#include "engine/trace/report/predict.h"
#include "engine/trace/report/report.h"

namespace lenet_flow {
namespace {

/// Actions of a predicted schedule that are drawn: some screens full.
constexpr int most_predicted = 4000;
constexpr int most_predicted_batches = 16;

std::vector<ReportLayer> layers_of(const Network& network) {
  std::vector<ReportLayer> layers;
  for (const NetworkLayer& layer : network.layers) {
    ReportLayer& drawn = layers.emplace_back();
    drawn.name = layer.name;
    drawn.type = layer.type;
    drawn.shape = layer.output_shape.text();
    drawn.stage = layer.stage;
    drawn.producers = layer.producers;
    drawn.flops = layer.flops;
    if (!layer.needs_input_gradients) drawn.flops.input_gradients = 0;
  }
  return layers;
}

std::vector<ReportLink> links_of(const Network& network, std::int64_t micro_batch) {
  std::vector<ReportLink> links;
  for (const Link& link : network.links) {
    std::int64_t floats = link.from == network_input ? network.input.elements() : 0;
    for (const int layer : link.layers)
      if (layer != network_input) floats += network.layers[static_cast<std::size_t>(layer)].output_shape.elements();
    links.push_back({link.name, link.from == network_input ? -1 : link.from, link.to,
                     floats * micro_batch * static_cast<std::int64_t>(sizeof(float))});
  }
  return links;
}

/// The pass's schedule played with its own mean times. None where it was not kept.
std::optional<PredictedSchedule> predict(const Session& session, const Pipeline& pipeline) {
  const Keeper& keeper = pipeline.kept();
  if (keeper.passes().empty() || keeper.passes().back().actions.empty()) return std::nullopt;
  const PipelinePlan& plan = pipeline.plan();
  const ActionCosts costs = measured_costs(pipeline.traced(), keeper.passes().back());
  std::size_t actions = 0;
  for (const auto& list : plan.schedule) actions += list.size();
  PredictedSchedule predicted;
  // Without flush the schedule is that of some batches already.
  const bool whole_batches = plan.sample_shape.micro_batches == plan.shape.micro_batches;
  predicted.batches =
      whole_batches ? std::clamp(most_predicted / std::max(static_cast<int>(actions), 1), 1, most_predicted_batches)
                    : 1;
  predicted.micro_batches = plan.sample_shape.micro_batches;
  const auto play = [&](int batches) {
    return simulate(plan.schedule, plan.sample_shape, costs, plan.limits, batches);
  };
  predicted.simulation = play(predicted.batches);
  const std::int64_t images = session.cut(1).batch * (predicted.micro_batches / plan.shape.micro_batches);
  double seconds = predicted.simulation.length;
  int batches = predicted.batches;
  if (batches > 1) {
    seconds -= play(1).length;
    --batches;
  }
  if (seconds > 0) predicted.images_per_second = static_cast<double>(images * batches) / seconds;
  return predicted;
}

std::vector<double> peaks_of(const DeviceSet& devices, const TracedPipeline& pipeline) {
  const std::vector<DeviceResult> results = devices.results();
  std::vector<double> peaks;
  for (const std::string& name : pipeline.devices) {
    const auto device =
        std::find_if(results.begin(), results.end(), [&](const DeviceResult& result) { return result.name == name; });
    peaks.push_back(device == results.end() || device->cores.empty() ? 0 : measure_peak_flops(device->cores));
  }
  return peaks;
}

std::vector<std::pair<std::string, std::string>> machine_facts() {
  const Machine& machine = Machine::here();
  std::vector<std::string> caches;
  for (const std::uint64_t bytes : machine.cache_bytes()) caches.push_back(fmt::format("{} KiB", bytes / 1024));
  return {{"CPU", machine.cpu_model()},
          {"cores that may be used", fmt::format("{} ({})", machine.cores().size(), fmt::join(machine.cores(), ", "))},
          {"caches", fmt::format("{}", fmt::join(caches, ", "))},
          {"memory", fmt::format("{:.1f} GiB", static_cast<double>(machine.memory_bytes()) / (1024.0 * 1024 * 1024))},
          {"clock",
           clock_source() + fmt::format(", {:.1f} millionths off the steady clock at the end", clock_drift_ppm())}};
}

std::string text_of(const std::filesystem::path& path) {
  std::ifstream stream(path, std::ios::binary);
  std::ostringstream text;
  text << stream.rdbuf();
  return text.str();
}

/// As typed, so that the page says what was run.
std::vector<std::string> changes_of(const GraphOptions& options) {
  std::vector<std::string> changes;
  for (const std::string& set : options.sets) changes.push_back("--set " + set);
  for (const std::string& map : options.maps) changes.push_back("--map " + map);
  return changes;
}

}  // namespace

std::string run_report(const Session& session, const Pipeline& pipeline, const RunResult& result) {
  const std::filesystem::path& graph = session.options().graph;
  return report_page({.result = result,
                      .pipeline = pipeline.traced(),
                      .passes = pipeline.kept().passes(),
                      .layers = layers_of(session.network()),
                      .links = links_of(session.network(), session.cut(1).micro_batch),
                      .peak_flops = peaks_of(session.devices(), pipeline.traced()),
                      .predicted = predict(session, pipeline),
                      .graph_file = graph.string(),
                      .graph_text = text_of(graph),
                      .changes = changes_of(session.options().changes),
                      .machine = machine_facts()});
}

}  // namespace lenet_flow

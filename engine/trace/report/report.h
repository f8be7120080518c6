#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "engine/schedule/simulate.h"
#include "engine/trace/keeper.h"
#include "engine/trace/record.h"
#include "engine/training/result.h"
#include "layers/layer.h"

namespace lenet_flow {

/// A layer as the report draws it, and what it computes.
struct ReportLayer {
  std::string name, type;
  std::string shape;           ///< of the output of one image: "6x28x28"
  int stage = 0;               ///< in TracedPipeline::stages
  std::vector<int> producers;  ///< numbers of layers; -1: the network's input
  Flops flops;                 ///< of one image; input_gradients 0 where nobody needs them
};

/// A link as the report draws it.
struct ReportLink {
  std::string name;
  int from = -1, to = 0;   ///< stages; from -1: the reader
  std::int64_t bytes = 0;  ///< of a micro-batch's activations
};

/// The schedule as it would have run with the times that were measured.
struct PredictedSchedule {
  Simulation simulation;         ///< in seconds
  int batches = 1;               ///< simulated, one right behind the other
  int micro_batches = 1;         ///< that TimedAction::action counts to before the next batch
  double images_per_second = 0;  ///< once the pipeline is full: of all batches but the first, where there are several
};

/// What the report page shows. All references must outlive the call of report_page().
struct ReportData {
  const RunResult& result;
  const TracedPipeline& pipeline;
  std::span<const KeptPass> passes;  ///< drawn; may be empty
  std::vector<ReportLayer> layers;
  std::vector<ReportLink> links;
  std::vector<double> peak_flops;  ///< one a device of TracedPipeline: measure_peak_flops(), 0 where not known
  std::optional<PredictedSchedule> predicted;
  std::string graph_file, graph_text;                        ///< path and text
  std::vector<std::string> changes;                          ///< to the file, as typed: "--set training.epochs=1"
  std::vector<std::pair<std::string, std::string>> machine;  ///< facts by name
};

/// The report: one HTML page that holds all it needs, in UTF-8. Fetches nothing.
std::string report_page(const ReportData& data);

/// The two JSON texts that the page holds (README.md names their fields): what is small, and the columns of the
/// timeline. Neither contains "<".
std::string report_json(const ReportData& data);
std::string report_timeline_json(const ReportData& data);

}  // namespace lenet_flow

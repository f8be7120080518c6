#include "tools/result_tables.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "tools/table.h"
#include "tools/units.h"

namespace lenet_flow {
namespace {

using Align = Table::Align;

/// States below this share of the time in every stage are left out.
constexpr double nearly_nothing = 0.005;
constexpr std::size_t layer_columns = 32;
constexpr std::size_t epochs_shown = 12;

std::vector<State> states_shown(const RunResult& result, bool all) {
  std::vector<State> shown{time_states[0]};
  for (std::size_t i = 1; i < time_states.size(); ++i)
    if (all || std::any_of(result.stages.begin(), result.stages.end(), [&](const StageResult& stage) {
          return std::abs(stage.seconds.*time_states[i].seconds) >= nearly_nothing * result.seconds;
        }))
      shown.push_back(time_states[i]);
  return shown;
}

std::string heading(const RunResult& result) {
  const PipelineResult& pipeline = result.pipeline;
  std::string text = fmt::format("{}: {} on {}; ", result.graph,
                                 result.mode == "infer"
                                     ? "inferred"
                                     : "trained " + plural(static_cast<std::int64_t>(result.epochs.size()), "epoch"),
                                 result.data_set);
  text += fmt::format("{}, schedule {}, {} of {}, {} in flight", plural(pipeline.stages, "stage"), pipeline.schedule,
                      plural(pipeline.micro_batches, "micro-batch"), plural(pipeline.micro_batch, "image"),
                      pipeline.in_flight);
  return text;
}

/// "schedule 21.3%, wake_up 4.0%": the largest of what a stage's waiting comes from.
std::string roots_text(const Diagnosis& diagnosis, std::size_t unit) {
  constexpr std::size_t shown = 2;
  constexpr double worth_showing = 0.01;
  if (unit >= diagnosis.waits.size()) return "-";
  std::string text;
  for (std::size_t i = 0; i < std::min(shown, diagnosis.waits[unit].size()); ++i) {
    const Root& root = diagnosis.waits[unit][i];
    if (root.share < worth_showing) break;
    const bool named = root.kind == RootKind::stage || root.kind == RootKind::link || root.kind == RootKind::device;
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", named ? root.name : word(root.kind),
                        percent_text(root.share, 1));
  }
  return text.empty() ? "-" : text;
}

std::string epoch_table(const RunResult& result, bool all, const Terminal& terminal) {
  Table table({{"epoch"}, {"loss"}, {"test loss"}, {"test accuracy"}, {"learning rate"}, {"images/s"}, {"time"}});
  const std::size_t count = result.epochs.size();
  for (std::size_t i = 0; i < count; ++i) {
    if (!all && count > epochs_shown && i == epochs_shown / 2) {
      table.add_row({"...", "", "", "", "", "", ""});
      i = count - epochs_shown / 2;
    }
    const EpochResult& epoch = result.epochs[i];
    table.add_row(
        {std::to_string(epoch.epoch), number_text(epoch.loss), number_text(epoch.test_loss),
         percent_text(epoch.test_accuracy), fmt::format("{:.4g}", epoch.learning_rate),
         epoch.seconds > 0 ? count_text(std::llround(static_cast<double>(epoch.images) / epoch.seconds)) : "-",
         duration_text(epoch.seconds)});
  }
  return table.text(terminal);
}

std::string memory_text(const RunResult& result) {
  std::string text = bytes_text(result.peak_resident_bytes) + " at most";
  for (const DeviceResult& device : result.devices)
    if (device.memory_bytes > 0) text += fmt::format("; {} {}", device.name, bytes_text(device.memory_bytes));
  return text;
}

/// "gpu0 45.1 J; 0.75 mJ an image". Empty where none is known.
std::string energy_text(const RunResult& result) {
  std::string text;
  double sum = 0;
  for (const EnergyReading& reading : result.energy) {
    if (!reading.joules) continue;
    sum += *reading.joules;
    text += fmt::format("{}{} {:.4g} J", text.empty() ? "" : ", ", reading.name, *reading.joules);
  }
  if (!text.empty() && result.images > 0)
    text += fmt::format("; {:.3g} mJ an image", 1e3 * sum / static_cast<double>(result.images));
  return text;
}

/// "stashing, conv1..pool2: 2 versions of its parameters; updates behind by 0: 3, by 1: 935".
std::string staleness_text(const std::string& kind, const StageResult& stage) {
  std::string text = fmt::format("{}, {}: {} of its parameters; updates behind", kind, stage.name,
                                 plural(stage.weight_versions, "version"));
  for (std::size_t behind = 0; behind < stage.staleness.size(); ++behind)
    text += fmt::format("{} by {}: {}", behind ? "," : "", behind, count_text(stage.staleness[behind]));
  return text;
}

std::string recompute_text(const StageResult& stage) {
  return fmt::format("{} on {}: {} instead of {}, {}", stage.name, stage.device, bytes_text(stage.peak_bytes),
                     bytes_text(*stage.bytes_without_recompute),
                     saving_text(*stage.bytes_without_recompute, stage.peak_bytes));
}

std::string summary(const RunResult& result, const std::string& checkpoint, const Terminal& terminal) {
  std::string text;
  const auto line = [&](const char* name, const std::string& value) {
    text += fmt::format("{}{}\n", styled(terminal, Style::bold, fmt::format("{:<15}", name)), value);
  };
  line("test accuracy", percent_text(result.test_accuracy));
  line("test loss", number_text(result.test_loss));
  line("images/s",
       fmt::format("{} ({} in {}; the whole command {})", count_text(std::llround(result.images_per_second)),
                   plural(result.images, "image"), duration_text(result.seconds), duration_text(result.wall_seconds)));
  line("bubble", bubble_text(result));
  if (!result.diagnosis.line.empty()) line("diagnosis", result.diagnosis.line);
  line("memory", memory_text(result));
  if (const std::string energy = energy_text(result); !energy.empty()) line("energy", energy);
  for (const StageResult& stage : result.stages)
    if (stage.bytes_without_recompute) line("recompute", recompute_text(stage));
  for (const StageResult& stage : result.stages)
    if (!stage.staleness.empty()) line("staleness", staleness_text(result.pipeline.weight_versions, stage));
  line("parameters", "sha256 " + result.parameters_sha256);
  if (!checkpoint.empty()) line("checkpoint", checkpoint);
  if (!result.trace.file.empty()) line("trace", result.trace.file + ": " + coverage_text(result.trace.coverage));
  for (const std::string& warning : result.warnings)
    line("warning", styled(terminal, Style::yellow,
                           cut_to(warning, static_cast<std::size_t>(std::max(40, terminal.columns - 16)))));
  return text;
}

}  // namespace

std::string costs_table(const std::vector<StageCostsResult>& stages, const Terminal& terminal) {
  Table table({{"stage", Align::left}, {"times for auto", Align::left}, {"F"}, {"I"}, {"W"}, {"U"}});
  for (const StageCostsResult& costs : stages)
    table.add_row({costs.stage, costs.source, duration_text(costs.forward), duration_text(costs.input_gradients),
                   duration_text(costs.parameter_gradients), duration_text(costs.update)});
  return table.text(terminal);
}

std::string stage_table(const RunResult& result, bool all, bool roots, const Terminal& terminal) {
  const auto shown = states_shown(result, all);
  std::vector<Table::Column> columns{
      {"stage", Align::left}, {"device", Align::left}, {"layers", Align::left}, {"images/s"}, {"memory"}};
  for (const State& state : shown) columns.push_back({state.name});
  const bool injected = std::any_of(result.stages.begin(), result.stages.end(),
                                    [](const StageResult& stage) { return stage.injected_seconds > 0; });
  if (injected) columns.push_back({"injected"});
  if (roots) columns.push_back({"waits come from", Align::left});
  Table table(columns);
  for (std::size_t unit = 0; unit < result.stages.size(); ++unit) {
    const StageResult& stage = result.stages[unit];
    std::vector<std::string> row{
        stage.name, stage.device, shortened_list(stage.layers, all ? std::string::npos : layer_columns),
        result.seconds > 0 ? count_text(std::llround(static_cast<double>(stage.images) / result.seconds)) : "-",
        bytes_text(stage.peak_bytes)};
    const auto push_share = [&](double seconds) {
      row.push_back(result.seconds > 0 ? percent_text(seconds / result.seconds, 1) : "-");
    };
    for (const State& state : shown) push_share(stage.seconds.*state.seconds);
    if (injected) push_share(stage.injected_seconds);
    if (roots) row.push_back(roots_text(result.diagnosis, unit));
    table.add_row(row);
  }
  return table.text(terminal);
}

std::string bubble_text(const RunResult& result) {
  std::string text = percent_text(result.pipeline.bubble_measured, 1) + " of the devices' time without compute";
  if (result.pipeline.bubble_theory)
    text += fmt::format("; {} in theory, were all stages equal", percent_text(*result.pipeline.bubble_theory, 1));
  return text;
}

std::string result_tables(const RunResult& result, const std::string& checkpoint, bool all, const Terminal& terminal) {
  std::string text =
      styled(terminal, Style::bold, heading(result)) + "\n\n" + stage_table(result, all, false, terminal) + "\n";
  if (all && !result.pipeline.costs.empty()) text += costs_table(result.pipeline.costs, terminal) + "\n";
  if (!result.epochs.empty()) text += epoch_table(result, all, terminal) + "\n";
  return text + summary(result, checkpoint, terminal);
}

}  // namespace lenet_flow

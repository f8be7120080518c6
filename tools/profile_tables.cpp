#include "tools/profile_tables.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <sstream>

#include "engine/graph/diagnostics.h"
#include "tools/result_tables.h"
#include "tools/table.h"
#include "tools/units.h"

namespace lenet_flow {
namespace {

using Align = Table::Align;

constexpr std::size_t steps_shown = 8;
constexpr double nearly_nothing = 0.005;

std::string heading(const RunResult& result) {
  const PipelineResult& pipeline = result.pipeline;
  return fmt::format("{}: {} on {}, {} in {}; {}, schedule {}, {} of {}, {} in flight", result.graph,
                     result.mode == "infer" ? "inferred" : "trained", result.data_set, plural(result.images, "image"),
                     duration_text(result.seconds), plural(pipeline.stages, "stage"), pipeline.schedule,
                     plural(pipeline.micro_batches, "micro-batch"), plural(pipeline.micro_batch, "image"),
                     pipeline.in_flight);
}

std::string device_table(const RunResult& result, bool all, const Terminal& terminal) {
  std::vector<State> shown;
  for (const State& state : time_states)
    if (all || std::any_of(result.devices.begin(), result.devices.end(), [&](const DeviceResult& device) {
          return device.seconds && (*device.seconds).*state.seconds >= nearly_nothing * result.seconds;
        }))
      shown.push_back(state);
  std::vector<Table::Column> columns{{"device", Align::left}};
  for (const State& state : shown) columns.push_back({state.name});
  Table table(columns);
  for (const DeviceResult& device : result.devices) {
    if (!device.seconds) continue;
    std::vector<std::string> row{device.name};
    for (const State& state : shown)
      row.push_back(result.seconds > 0 ? percent_text((*device.seconds).*state.seconds / result.seconds, 1) : "-");
    table.add_row(row);
  }
  return table.text(terminal);
}

std::string step_table(const RunResult& result, bool all, const Terminal& terminal) {
  std::vector<StepResult> steps = result.steps;
  std::stable_sort(steps.begin(), steps.end(), [](const auto& a, const auto& b) { return a.total > b.total; });
  if (!all && steps.size() > steps_shown) steps.resize(steps_shown);
  Table table({{"layer", Align::left},
               {"action", Align::left},
               {"stage", Align::left},
               {"device", Align::left},
               {"count"},
               {"mean"},
               {"p50"},
               {"p90"},
               {"p99"},
               {"of the time"}});
  for (const StepResult& step : steps)
    table.add_row({step.step, meaning(step.action), step.stage, step.device,
                   count_text(static_cast<std::int64_t>(step.count)), duration_text(step.mean), duration_text(step.p50),
                   duration_text(step.p90), duration_text(step.p99),
                   result.seconds > 0 ? percent_text(step.total / result.seconds, 1) : "-"});
  return table.text(terminal);
}

std::string cause_table(const Diagnosis& diagnosis, bool all, const Terminal& terminal) {
  Table table({{"without this cause", Align::left}, {"the time would be shorter by"}});
  for (const Root& root : diagnosis.causes)
    if (all || root.share >= nearly_nothing) table.add_row({root.name, percent_text(root.share, 1)});
  return table.empty() ? std::string() : table.text(terminal) + "\n";
}

/// What tracing cost, and how far what it says can be relied on.
std::string trace_text(const RunResult& result) {
  const TraceResult& trace = result.trace;
  return fmt::format("{} events, {} lost; {} each, {} of the devices' time, {} of a core to read them ({})",
                     count_text(static_cast<std::int64_t>(trace.events)),
                     count_text(static_cast<std::int64_t>(trace.lost)),
                     fmt::format("{:.0f} ns", trace.event_seconds * 1e9), percent_text(trace.device_share, 2),
                     percent_text(trace.collector_share, 2), trace.clock);
}

}  // namespace

std::string profile_tables(const RunResult& result, bool all, const Terminal& terminal) {
  std::string text = styled(terminal, Style::bold, heading(result)) + "\n\n";
  text += stage_table(result, all, true, terminal) + "\n";
  text += device_table(result, all, terminal) + "\n";
  text += step_table(result, all, terminal) + "\n";
  text += cause_table(result.diagnosis, all, terminal);
  const auto line = [&](const char* name, const std::string& value) {
    text += fmt::format("{}{}\n", styled(terminal, Style::bold, fmt::format("{:<10}", name)), value);
  };
  line("images/s", count_text(std::llround(result.images_per_second)));
  line("bubble", bubble_text(result));
  if (result.diagnosis.measured_seconds > 0)
    line("idle",
         fmt::format("{} of the time no device computes (the host: reader, wake-up, hand-over); a device that is "
                     "idle else waits for another (balance, schedule)",
                     percent_text(result.diagnosis.nobody_computes_seconds / result.diagnosis.measured_seconds, 1)));
  line("tracing", trace_text(result));
  if (!result.trace.file.empty()) line("trace", result.trace.file + ": " + coverage_text(result.trace.coverage));
  line("causes",
       fmt::format("from {}; played through again unchanged it takes {} of what was measured", result.diagnosis.basis,
                   result.diagnosis.measured_seconds > 0
                       ? percent_text(result.diagnosis.replayed_seconds / result.diagnosis.measured_seconds, 1)
                       : "-"));
  for (const std::string& warning : result.warnings) line("warning", styled(terminal, Style::yellow, warning));
  return text + "\n" + styled(terminal, Style::bold, result.diagnosis.line) + "\n";
}

std::vector<StallLimit> parse_budget(const std::string& text) {
  std::vector<std::string> names;
  for (const State& state : time_states)
    if (state.seconds != &StateSeconds::compute) names.push_back(state.name);
  std::vector<StallLimit> limits;
  std::stringstream stream(text);
  for (std::string part; std::getline(stream, part, ',');) {
    const auto equals = part.find('=');
    const std::string name = part.substr(0, equals);
    const auto state = std::find_if(time_states.begin(), time_states.end(), [&](const State& one) {
      return name == one.name && one.seconds != &StateSeconds::compute;
    });
    if (state == time_states.end())
      throw InputError(fmt::format("--budget: unknown state {}", with_suggestion(name, names)));
    std::string number = equals == std::string::npos ? std::string() : part.substr(equals + 1);
    const bool percent = !number.empty() && number.back() == '%';
    if (percent) number.pop_back();
    char* end = nullptr;
    const double value = std::strtod(number.c_str(), &end);
    if (number.empty() || *end != '\0' || !percent || !(value >= 0 && value <= 100))
      throw InputError(
          fmt::format("--budget: '{}': expected STATE=PERCENT, from 0% to 100%, such as {}=5%", part, name));
    limits.push_back({*state, value / 100});
  }
  if (limits.empty()) throw InputError("--budget: expected STATE=PERCENT, such as starved=5%,transfer=10%");
  return limits;
}

std::vector<std::string> over_budget(const RunResult& result, const std::vector<StallLimit>& limits) {
  std::vector<std::string> lines;
  for (const StageResult& stage : result.stages)
    for (const StallLimit& limit : limits) {
      const double share = result.seconds > 0 ? stage.seconds.*limit.state.seconds / result.seconds : 0;
      if (share > limit.share)
        lines.push_back(fmt::format("stage '{}' on {}: {} {} of the time, the budget is {}", stage.name, stage.device,
                                    limit.state.name, percent_text(share, 1), percent_text(limit.share, 1)));
    }
  return lines;
}

}  // namespace lenet_flow

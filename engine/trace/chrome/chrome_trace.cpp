#include "engine/trace/chrome/chrome_trace.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <string_view>
#include <utility>

namespace lenet_flow {
namespace {

constexpr int stages_process = 1, devices_process = 2, reader_process = 3;
constexpr int first_thread = 10;  // a thread whose number is its process's would be taken for its main thread

/// Names of chrome://tracing's palette. Perfetto colours by name.
std::string_view color_of(StallState state) {
  static constexpr std::array<std::string_view, time_states.size()> colors{"thread_state_running",   // compute
                                                                           "rail_load",              // transfer
                                                                           "rail_animation",         // launch
                                                                           "rail_idle",              // sync
                                                                           "terrible",               // blocked
                                                                           "bad",                    // starved
                                                                           "yellow",                 // no_credit
                                                                           "thread_state_runnable",  // contended
                                                                           "olive",                  // optimizer
                                                                           "thread_state_sleeping",  // fill
                                                                           "grey",                   // drain
                                                                           "black"};                 // unaccounted
  return colors[static_cast<std::size_t>(state)];
}

std::string_view color_of(ActionKind kind) {
  switch (kind) {
    case ActionKind::forward: return "rail_response";
    case ActionKind::input_gradients:
    case ActionKind::backward: return "thread_state_running";
    case ActionKind::parameter_gradients: return "good";
    case ActionKind::update: return "olive";
  }
  return "";
}

/// What a piece of waiting waited for.
const Arrival* arrival_of(StallState state, const ActionRecord& action) {
  switch (state) {
    case StallState::starved:
    case StallState::fill: return &action.arrivals.input;
    case StallState::transfer: return &action.arrivals.transfer;
    case StallState::blocked: return &action.arrivals.room;
    case StallState::contended: return &action.arrivals.order;
    default: return nullptr;
  }
}

bool follows_micro_batch(ActionKind kind) {
  return kind == ActionKind::forward || kind == ActionKind::backward || kind == ActionKind::input_gradients;
}

}  // namespace

ChromeTrace::ChromeTrace(const TracedPipeline& pipeline, const BatchSample& sample, TraceEventWriter::Write write)
    : pipeline_(pipeline),
      sample_(sample),
      writer_(std::move(write)),
      counters_(pipeline_,
                [this](std::size_t counter, Nanoseconds time, double value, std::int64_t batch) {
                  if (!takes(batch)) return;
                  const CounterLine::Counter& facts = counters_.counters()[counter];
                  writer_.counter(facts.group == CounterLine::Group::devices ? devices_process : stages_process, time,
                                  facts.name, facts.unit, value);
                }),
      device_batch_(pipeline.devices.size()) {
  coverage_.sampled_every = sample.every;
  coverage_.batches_at_most = sample.most;
  for (const TracedPipeline::Unit& unit : pipeline.units) clocks_.emplace_back(unit.entry);
  for (const TracedPipeline::Unit& unit : pipeline.units)
    if (unit.entry) {
      first_entry_stage_ = unit.stage;
      break;
    }
}

ChromeTrace::Track ChromeTrace::unit_track(int unit) const { return {stages_process, first_thread + unit}; }

ChromeTrace::Track ChromeTrace::device_track(int device) const {
  return {devices_process, first_thread + static_cast<int>(pipeline_.units.size()) + device};
}

void ChromeTrace::name_tracks() {
  named_ = true;
  writer_.name_process(stages_process, "stages");
  writer_.name_process(devices_process, "devices");
  writer_.name_process(reader_process, "reader");
  for (int unit = 0; unit < static_cast<int>(pipeline_.units.size()); ++unit)
    writer_.name_track(unit_track(unit), pipeline_.unit_name(unit), unit);
  for (int device = 0; device < static_cast<int>(pipeline_.devices.size()); ++device)
    writer_.name_track(device_track(device), pipeline_.devices[static_cast<std::size_t>(device)], device);
}

void ChromeTrace::begin_pass(const PassTrace& pass) {
  close_pass();
  pass_ = pass;
  in_pass_ = true;
  if (!named_) {
    writer_.set_origin(pass.begin);
    name_tracks();
  }
  for (StageClock& clock : clocks_) clock.begin_pass(pass.begin);
  counters_.begin_pass(pass);
  std::fill(device_batch_.begin(), device_batch_.end(), 0);
}

void ChromeTrace::on_action(const ActionRecord& action) {
  const std::int64_t batch = first_batch_ + action.batch;
  coverage_.batches_of_run = std::max(coverage_.batches_of_run, batch + 1);
  device_batch_[static_cast<std::size_t>(pipeline_.units[static_cast<std::size_t>(action.unit)].device)] = action.batch;
  if (sample_.ends_before(batch)) return;
  write_states(action);
  counters_.add(action);
  if (!takes(action.batch)) return;
  if (batch > newest_batch_) {
    newest_batch_ = batch;
    ++coverage_.batches;
  }
  if (action.read.begin > 0) write_read(action);
  write_action(action);
  if (follows_micro_batch(action.kind)) add_to_arrow(action);
}

std::string ChromeTrace::arguments_of(const ActionRecord& action) const {
  std::string text =
      fmt::format(R"("action":"{}","batch":{},"epoch":{})", meaning(action.kind), action.batch + 1, pass_.epoch);
  if (action.kind != ActionKind::update)
    text += fmt::format(R"(,"micro_batch":{})", action.micro_batch % std::max(1, pass_.per_batch) + 1);
  if (action.injected > 0) text += fmt::format(R"(,"injected_us":{})", static_cast<double>(action.injected) * 1e-3);
  return text;
}

void ChromeTrace::write_states(const ActionRecord& action) {
  const bool taken = takes(action.batch);
  clocks_[static_cast<std::size_t>(action.unit)].add(action, !pass_.training,
                                                     [&](StallState state, Nanoseconds from, Nanoseconds until) {
                                                       if (taken) write_state(state, from, until, action);
                                                     });
}

void ChromeTrace::write_state(StallState state, Nanoseconds from, Nanoseconds until, const ActionRecord& action) {
  std::string arguments = arguments_of(action);
  const Arrival* arrival = arrival_of(state, action);
  if (arrival && (arrival->time > 0 || state == StallState::transfer))
    fmt::format_to(
        std::back_inserter(arguments), R"(,"from":{})",
        json_quoted(arrival->from >= 0 ? pipeline_.stages[static_cast<std::size_t>(arrival->from)] : "reader"));
  writer_.slice(unit_track(action.unit), from, until, word(state), "state", arguments, color_of(state));
}

void ChromeTrace::write_action(const ActionRecord& action) {
  const Track track = device_track(pipeline_.units[static_cast<std::size_t>(action.unit)].device);
  writer_.begin(track, action.begin, fmt::format("{} {}", letter(action.kind), pipeline_.unit_name(action.unit)),
                "action", arguments_of(action), color_of(action.kind));
  write_copy_and_steps(action);
  writer_.end(track, action.end);
}

void ChromeTrace::write_copy_and_steps(const ActionRecord& action) {
  const TracedPipeline::Unit& unit = pipeline_.units[static_cast<std::size_t>(action.unit)];
  const Track track = device_track(unit.device);
  Nanoseconds at = action.begin;
  if (action.transferred > at) {
    writer_.slice(track, at, action.transferred, "copy of the images", "copy", {}, color_of(StallState::transfer));
    at = action.transferred;
  }
  const auto& names = unit.steps[static_cast<std::size_t>(action.kind)];
  for (const StepRecord& step : action.steps) {
    if (static_cast<std::size_t>(step.step) >= names.size()) continue;
    writer_.slice(track, at, step.end, names[static_cast<std::size_t>(step.step)], "layer");
    at = step.end;
  }
}

/// Every entry stage tells of the same reads: the first of them is listened to.
void ChromeTrace::write_read(const ActionRecord& action) {
  if (pipeline_.units[static_cast<std::size_t>(action.unit)].stage != first_entry_stage_) return;
  const auto free = std::find_if(reader_free_.begin(), reader_free_.end(),
                                 [&](Nanoseconds until) { return until <= action.read.begin; });
  const auto lane = static_cast<int>(free - reader_free_.begin());
  const Track track{reader_process, device_track(static_cast<int>(pipeline_.devices.size())).thread + lane};
  if (free == reader_free_.end()) {
    writer_.name_track(track, fmt::format("reader {}", lane + 1), lane);
    reader_free_.push_back(0);
  }
  reader_free_[static_cast<std::size_t>(lane)] = action.read.end;
  writer_.slice(track, action.read.begin, action.read.end, "read", "read",
                fmt::format(R"("batch":{},"epoch":{},"micro_batch":{},"queued_us":{})", action.batch + 1, pass_.epoch,
                            action.micro_batch % std::max(1, pass_.per_batch) + 1,
                            static_cast<double>(action.read.begin - action.read.asked) * 1e-3));
}

void ChromeTrace::add_to_arrow(const ActionRecord& action) {
  const Nanoseconds begin = std::max(action.begin, action.transferred);
  if (action.end <= begin) return;  // no slice to bind to
  auto& points = arrows_[action.micro_batch];
  points.push_back({begin + (action.end - begin) / 2, unit_track(action.unit)});
  if (points.size() < pipeline_.stages.size() * (pass_.training ? 2 : 1)) return;
  write_arrow(action.micro_batch, points);
  arrows_.erase(action.micro_batch);
}

void ChromeTrace::write_arrow(std::int64_t micro_batch, std::vector<ArrowPoint>& points) {
  if (points.size() < 2) return;
  std::sort(points.begin(), points.end(), [](const ArrowPoint& a, const ArrowPoint& b) { return a.time < b.time; });
  for (std::size_t i = 0; i < points.size(); ++i)
    writer_.arrow(i == 0                   ? 's'
                  : i + 1 == points.size() ? 'f'
                                           : 't',
                  points[i].track, points[i].time, first_micro_batch_ + micro_batch + 1);
}

void ChromeTrace::on_lost(int device, Nanoseconds from, Nanoseconds until) {
  const bool taken = takes(device_batch_[static_cast<std::size_t>(device)]);
  for (std::size_t unit = 0; unit < clocks_.size(); ++unit) {
    if (pipeline_.units[unit].device != device) continue;
    clocks_[unit].unknown(until, [&](StallState state, Nanoseconds since, Nanoseconds end) {
      if (taken)
        writer_.slice(unit_track(static_cast<int>(unit)), since, end, word(state), "state", {}, color_of(state));
    });
  }
  if (taken)
    writer_.instant(device_track(device), from, "events were lost",
                    fmt::format(R"("us":{})", static_cast<double>(until - from) * 1e-3));
}

void ChromeTrace::on_sleep(int device, Nanoseconds from, Nanoseconds until) {
  if (takes(device_batch_[static_cast<std::size_t>(device)]))
    writer_.slice(device_track(device), from, until, "asleep", "sleep", {}, "thread_state_sleeping");
}

void ChromeTrace::end_pass(const PassEnd& end) {
  coverage_.lost += end.lost;
  for (std::size_t unit = 0; unit < clocks_.size(); ++unit) {
    const std::int64_t last = device_batch_[static_cast<std::size_t>(pipeline_.units[unit].device)];
    clocks_[unit].end_pass(end.end, [&](StallState state, Nanoseconds from, Nanoseconds until) {
      if (takes(last))
        writer_.slice(unit_track(static_cast<int>(unit)), from, until, word(state), "state", {}, color_of(state));
    });
  }
  close_pass();
}

/// What is open of a pass, however that came to its end.
void ChromeTrace::close_pass() {
  if (!in_pass_) return;
  in_pass_ = false;
  counters_.end_pass();
  for (auto& [micro_batch, points] : arrows_) write_arrow(micro_batch, points);
  arrows_.clear();
  first_batch_ += pass_.batches;
  first_micro_batch_ += pass_.micro_batches;
}

void ChromeTrace::finish(const Facts& facts) {
  close_pass();
  std::string other = "{";
  for (const auto& [key, value] : facts) other += fmt::format("{}: {}, ", json_quoted(key), value);
  other += fmt::format(
      R"("sampled_every": {}, "batches_at_most": {}, "batches": {}, "batches_of_run": {}, "events_lost": {}}})",
      coverage_.sampled_every, coverage_.batches_at_most, coverage_.batches, coverage_.batches_of_run, coverage_.lost);
  writer_.finish(other);
}

TraceCoverage ChromeTrace::coverage() const {
  TraceCoverage coverage = coverage_;
  coverage.written = writer_.events();
  return coverage;
}

}  // namespace lenet_flow

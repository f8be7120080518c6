#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <vector>

#include "engine/trace/report/report.h"
#include "engine/trace/stage_clock.h"

// The large part of the report's data: columns of numbers, written as they come.

namespace lenet_flow {
namespace {

/// Appends microseconds with at most one decimal.
void append_time(fmt::memory_buffer& text, Nanoseconds time) {
  const std::int64_t tenths = (std::max<Nanoseconds>(time, 0) + 50) / 100;
  fmt::format_to(std::back_inserter(text), "{}", tenths / 10);
  if (tenths % 10 != 0) fmt::format_to(std::back_inserter(text), ".{}", tenths % 10);
}

/// A JSON array of numbers.
class Column {
 public:
  void add(std::int64_t value) {
    separate();
    fmt::format_to(std::back_inserter(text_), "{}", value);
  }
  /// In microseconds.
  void add_time(Nanoseconds time) {
    separate();
    append_time(text_, time);
  }
  std::string text() const { return '[' + fmt::to_string(text_) + ']'; }

 private:
  void separate() {
    if (text_.size() > 0) text_.push_back(',');
  }
  fmt::memory_buffer text_;
};

/// One unit's actions, and the states between them.
struct UnitColumns {
  Column kind, micro_batch, batch, begin, end, input_from, room_from;
  Column steps;         ///< durations, as many an action as its kind has steps
  Column state, until;  ///< stretches, from the begin of the pass to its end
  Column action;        ///< of each stretch: which action it is or leads to; -1 after the last
  StageClock clock{false};
  std::int64_t actions = 0;

  /// Writes stretches down as the clock cuts them. `number`: of the action that they lead to.
  auto writer(Nanoseconds begin_of_pass, std::int64_t number) {
    return [this, begin_of_pass, number](StallState of, Nanoseconds, Nanoseconds end_of_stretch) {
      state.add(static_cast<std::int64_t>(of));
      until.add_time(end_of_stretch - begin_of_pass);
      action.add(number);
    };
  }

  std::string json() const {
    return fmt::format(
        R"({{"kind":{},"micro_batch":{},"batch":{},"begin":{},"end":{},"input_from":{},"room_from":{},"steps":{},)"
        R"("state":{},"until":{},"action":{}}})",
        kind.text(), micro_batch.text(), batch.text(), begin.text(), end.text(), input_from.text(), room_from.text(),
        steps.text(), state.text(), until.text(), action.text());
  }
};

/// One pass, replayed into columns.
class PassColumns {
 public:
  PassColumns(const TracedPipeline& pipeline, const KeptPass& kept) : pipeline_(pipeline), kept_(kept) {
    for (const TracedPipeline::Unit& unit : pipeline.units) units_.emplace_back().clock = StageClock(unit.entry);
    for (UnitColumns& unit : units_) unit.clock.begin_pass(kept.pass.begin);
    next_loss_.assign(units_.size(), 0);
    for (const ActionRecord& action : kept.actions) add(action);
    for (std::size_t unit = 0; unit < units_.size(); ++unit) end(unit);
  }

  std::string json() const {
    const PassTrace& pass = kept_.pass;
    std::string units;
    for (const UnitColumns& unit : units_) units += (units.empty() ? "" : ",") + unit.json();
    Column asleep_device, asleep_from, asleep_until;
    for (const KeptPass::Stretch& sleep : kept_.sleeps) {
      asleep_device.add(sleep.device);
      asleep_from.add_time(sleep.from - pass.begin);
      asleep_until.add_time(sleep.until - pass.begin);
    }
    fmt::memory_buffer length;
    append_time(length, kept_.end.end - pass.begin);
    return fmt::format(
        R"({{"epoch":{},"training":{},"per_batch":{},"micro_batches":{},"batches":{},"images":{},"whole":{},"lost":{},)"
        R"("actions":{},"length":{},"asleep":{{"device":{},"from":{},"until":{}}},"units":[{}]}})",
        pass.epoch, pass.training, pass.per_batch, pass.micro_batches, pass.batches, pass.images, kept_.whole,
        kept_.end.lost, kept_.actions.size(), fmt::to_string(length), asleep_device.text(), asleep_from.text(),
        asleep_until.text(), units);
  }

 private:
  UnitColumns& unit_of(const ActionRecord& action) { return units_[static_cast<std::size_t>(action.unit)]; }

  void add(const ActionRecord& action) {
    UnitColumns& unit = unit_of(action);
    forget_lost(action);
    unit.clock.add(action, !kept_.pass.training, unit.writer(kept_.pass.begin, unit.actions++));
    const Nanoseconds begin = kept_.pass.begin;
    unit.kind.add(static_cast<std::int64_t>(action.kind));
    unit.micro_batch.add(action.micro_batch);
    unit.batch.add(action.batch);
    unit.begin.add_time(action.begin - begin);
    unit.end.add_time(action.end - begin);
    unit.input_from.add(action.arrivals.input.from);
    unit.room_from.add(action.arrivals.room.from);
    add_steps(unit, action);
  }

  void add_steps(UnitColumns& unit, const ActionRecord& action) {
    const std::size_t count =
        pipeline_.units[static_cast<std::size_t>(action.unit)].steps[static_cast<std::size_t>(action.kind)].size();
    std::vector<Nanoseconds> durations(count, 0);
    Nanoseconds before = action.transferred > 0 ? action.transferred : action.begin;
    for (const StepRecord& step : action.steps) {
      if (static_cast<std::size_t>(step.step) < count)
        durations[static_cast<std::size_t>(step.step)] = step.end - before;
      before = step.end;
    }
    for (const Nanoseconds duration : durations) unit.steps.add_time(duration);
  }

  /// What is not known of the device up to this action.
  void forget_lost(const ActionRecord& action) {
    UnitColumns& unit = unit_of(action);
    const int device = pipeline_.units[static_cast<std::size_t>(action.unit)].device;
    for (std::size_t& next = next_loss_[static_cast<std::size_t>(action.unit)]; next < kept_.losses.size(); ++next) {
      const KeptPass::Stretch& loss = kept_.losses[next];
      if (loss.device != device) continue;
      if (loss.until > action.end) break;
      unit.clock.unknown(loss.until, unit.writer(kept_.pass.begin, unit.actions));
    }
  }

  /// The rest of the pass, where all of it was kept.
  void end(std::size_t number) {
    UnitColumns& unit = units_[number];
    if (kept_.whole) unit.clock.end_pass(kept_.end.end, unit.writer(kept_.pass.begin, -1));
  }

  const TracedPipeline& pipeline_;
  const KeptPass& kept_;
  std::vector<UnitColumns> units_;
  std::vector<std::size_t> next_loss_;  ///< of each unit, in KeptPass::losses
};

std::string predicted_json(const PredictedSchedule& predicted) {
  const auto nanoseconds = [](double seconds) { return static_cast<Nanoseconds>(std::llround(seconds * 1e9)); };
  std::string devices;
  for (const std::vector<TimedAction>& row : predicted.simulation.devices) {
    Column stage, kind, micro_batch, batch, begin, end;
    for (const TimedAction& timed : row) {
      stage.add(timed.action.stage);
      kind.add(static_cast<std::int64_t>(timed.action.kind));
      micro_batch.add(timed.action.micro_batch);
      batch.add(timed.batch);
      begin.add_time(nanoseconds(timed.start));
      end.add_time(nanoseconds(timed.end));
    }
    devices += fmt::format(R"({}{{"stage":{},"kind":{},"micro_batch":{},"batch":{},"begin":{},"end":{}}})",
                           devices.empty() ? "" : ",", stage.text(), kind.text(), micro_batch.text(), batch.text(),
                           begin.text(), end.text());
  }
  return fmt::format(
      R"({{"batches":{},"micro_batches":{},"length":{:.1f},"bubble":{:.6f},"images_per_second":{:.1f},"devices":[{}]}})",
      predicted.batches, predicted.micro_batches, predicted.simulation.length * 1e6, predicted.simulation.bubble,
      predicted.images_per_second, devices);
}

}  // namespace

std::string report_timeline_json(const ReportData& data) {
  std::string passes;
  for (const KeptPass& kept : data.passes)
    passes += (passes.empty() ? "" : ",") + PassColumns(data.pipeline, kept).json();
  return fmt::format(R"({{"passes":[{}],"predicted":{}}})", passes,
                     data.predicted ? predicted_json(*data.predicted) : "null");
}

}  // namespace lenet_flow

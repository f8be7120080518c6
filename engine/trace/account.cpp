#include "engine/trace/account.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace lenet_flow {
namespace {

constexpr int sub_bits = 5;  // 32 classes an octave
constexpr std::size_t sub_classes = std::size_t{1} << sub_bits;

std::size_t class_of(std::uint64_t value) {
  if (value < sub_classes) return static_cast<std::size_t>(value);
  const int octave = std::bit_width(value) - 1;
  return static_cast<std::size_t>(octave - sub_bits + 1) * sub_classes +
         static_cast<std::size_t>(value >> (octave - sub_bits) & (sub_classes - 1));
}

/// The middle of a class.
double value_of(std::size_t number) {
  if (number < sub_classes) return static_cast<double>(number);
  const auto octave = static_cast<int>(number / sub_classes) + sub_bits - 1;
  const double lowest = std::ldexp(1.0 + static_cast<double>(number % sub_classes) / sub_classes, octave);
  return lowest + std::ldexp(0.5, octave - sub_bits);
}

StateSeconds difference(const StateSeconds& after, const StateSeconds& before) {
  return {
      after.compute - before.compute,     after.transfer - before.transfer,   after.launch - before.launch,
      after.sync - before.sync,           after.blocked - before.blocked,     after.starved - before.starved,
      after.no_credit - before.no_credit, after.contended - before.contended, after.optimizer - before.optimizer,
      after.fill - before.fill,           after.drain - before.drain,         after.unaccounted - before.unaccounted};
}

}  // namespace

void DurationHistogram::add(Nanoseconds duration) {
  duration = std::max<Nanoseconds>(duration, 0);
  const std::size_t number = class_of(static_cast<std::uint64_t>(duration));
  if (number >= classes_.size()) classes_.resize(number + 1);
  ++classes_[number];
  ++count_;
  sum_ += duration;
  max_ = std::max(max_, duration);
}

double DurationHistogram::mean_seconds() const { return count_ ? total_seconds() / static_cast<double>(count_) : 0; }

double DurationHistogram::quantile_seconds(double share) const {
  const auto rank = static_cast<std::uint64_t>(std::ceil(share * static_cast<double>(count_)));
  std::uint64_t below = 0;
  for (std::size_t number = 0; number < classes_.size(); ++number) {
    below += classes_[number];
    if (below >= std::max<std::uint64_t>(rank, 1)) return std::min(value_of(number) * 1e-9, max_seconds());
  }
  return 0;
}

Account::Account(const TracedPipeline& pipeline)
    : pipeline_(pipeline),
      units_(pipeline.units.size()),
      devices_(pipeline.devices.size()),
      steps_(pipeline.units.size()) {
  std::vector<bool> entry(pipeline.devices.size(), false);
  for (std::size_t i = 0; i < pipeline.units.size(); ++i) {
    const TracedPipeline::Unit& unit = pipeline.units[i];
    unit_clocks_.emplace_back(unit.entry);
    if (unit.entry) entry[static_cast<std::size_t>(unit.device)] = true;
    for (std::size_t kind = 0; kind < action_kinds; ++kind) steps_[i][kind].resize(unit.steps[kind].size());
  }
  for (const bool is_entry : entry) device_clocks_.emplace_back(is_entry);
}

void Account::begin_pass(const PassTrace& pass) {
  pass_ = pass;
  for (StageClock& clock : unit_clocks_) clock.begin_pass(pass.begin);
  for (StageClock& clock : device_clocks_) clock.begin_pass(pass.begin);
}

void Account::on_action(const ActionRecord& action) {
  const auto unit = static_cast<std::size_t>(action.unit);
  const auto device = static_cast<std::size_t>(pipeline_.units[unit].device);
  unit_clocks_[unit].add(action, !pass_.training);
  device_clocks_[device].add(action, !pass_.training);
  Nanoseconds before = action.transferred > 0 ? action.transferred : action.begin;
  const double update = action.kind == ActionKind::update ? static_cast<double>(action.end - action.begin) * 1e-9 : 0.0;
  for (TimeAccount* account : {&units_[unit], &devices_[device]}) {
    ++account->actions;
    account->update_seconds += update;
    account->injected_seconds += static_cast<double>(action.injected) * 1e-9;
  }
  auto& histograms = steps_[unit][static_cast<std::size_t>(action.kind)];
  for (const StepRecord& step : action.steps) {
    if (static_cast<std::size_t>(step.step) < histograms.size())
      histograms[static_cast<std::size_t>(step.step)].add(step.end - before);
    before = step.end;
  }
}

void Account::on_lost(int device, Nanoseconds, Nanoseconds until) {
  device_clocks_[static_cast<std::size_t>(device)].unknown(until);
  for (std::size_t i = 0; i < unit_clocks_.size(); ++i)
    if (pipeline_.units[i].device == device) unit_clocks_[i].unknown(until);
}

void Account::on_sleep(int, Nanoseconds from, Nanoseconds until) {
  ++sleeps_;
  asleep_ += until - from;
}

void Account::end_pass(const PassEnd& end) {
  for (StageClock& clock : unit_clocks_) clock.end_pass(end.end);
  for (StageClock& clock : device_clocks_) clock.end_pass(end.end);
  lost_ += end.lost;
  backward_ += end.backward;
  close_epoch(static_cast<double>(end.end - pass_.begin) * 1e-9);
}

/// Books what came since the pass before. Passes of one epoch (it was interrupted and resumed) are one entry.
void Account::close_epoch(double seconds) {
  seconds_ += seconds;
  EpochAccount epoch{pass_.epoch, seconds, {}, {}};
  const auto book = [](const std::vector<StageClock>& clocks, std::vector<TimeAccount>& accounts,
                       std::vector<StateSeconds>& of_epoch) {
    for (std::size_t i = 0; i < clocks.size(); ++i) {
      const StateSeconds now = clocks[i].seconds();
      of_epoch.push_back(difference(now, accounts[i].seconds));
      accounts[i].seconds = now;
    }
  };
  book(unit_clocks_, units_, epoch.units);
  book(device_clocks_, devices_, epoch.devices);
  epochs_.push_back(std::move(epoch));
}

std::vector<StepAccount> Account::steps() const {
  std::vector<StepAccount> steps;
  for (std::size_t unit = 0; unit < steps_.size(); ++unit)
    for (int kind = 0; kind < action_kinds; ++kind) {
      const auto& histograms = steps_[unit][static_cast<std::size_t>(kind)];
      for (std::size_t step = 0; step < histograms.size(); ++step)
        if (histograms[step].count() > 0)
          steps.push_back({static_cast<int>(unit), static_cast<ActionKind>(kind),
                           pipeline_.units[unit].steps[kind][step], histograms[step]});
    }
  return steps;
}

}  // namespace lenet_flow

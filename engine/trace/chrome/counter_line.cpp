#include "engine/trace/chrome/counter_line.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace lenet_flow {
namespace {

bool is_gradient(ActionKind kind) { return kind == ActionKind::backward || kind == ActionKind::input_gradients; }

/// A unit's last action for a micro-batch.
bool is_last(ActionKind kind, bool training) {
  return training ? kind == ActionKind::backward || kind == ActionKind::parameter_gradients
                  : kind == ActionKind::forward;
}

}  // namespace

CounterLine::CounterLine(const TracedPipeline& pipeline, Tell tell)
    : pipeline_(pipeline), tell_(std::move(tell)), credit_of_stage_(pipeline.stages.size(), -1) {
  const auto stage = [&](int number) { return pipeline.stages[static_cast<std::size_t>(number)]; };
  for (const auto& [from, to] : pipeline.links) {
    counters_.push_back({stage(from) + "->" + stage(to) + " activations", "micro-batches"});
    counters_.push_back({stage(from) + "->" + stage(to) + " gradients", "micro-batches"});
  }
  first_credit_ = counters_.size();
  for (const TracedPipeline::Unit& unit : pipeline.units) {
    int& credit = credit_of_stage_[static_cast<std::size_t>(unit.stage)];
    if (unit.entry && credit < 0) {
      credit = static_cast<int>(counters_.size() - first_credit_);
      counters_.push_back({stage(unit.stage) + " in flight", "micro-batches"});
    }
    const auto& forward = unit.steps[static_cast<std::size_t>(ActionKind::forward)];
    if (!forward.empty() && forward.back() == "loss") loss_stage_ = unit.stage;
  }
  rate_ = counters_.size();
  counters_.push_back({"throughput", "images/s"});
  first_memory_ = counters_.size();
  for (const std::string& device : pipeline.devices)
    counters_.push_back({device + " activations held", "bytes", Group::devices});
  values_.assign(counters_.size(), 0);
}

void CounterLine::begin_pass(const PassTrace& pass) {
  pass_ = pass;
  std::fill(values_.begin(), values_.end(), 0.0);
  seen_.assign(pipeline_.devices.size(), std::numeric_limits<Nanoseconds>::max());
  for (const TracedPipeline::Unit& unit : pipeline_.units) seen_[static_cast<std::size_t>(unit.device)] = pass.begin;
  batch_began_ = pass.begin;
  batch_images_ = 0;
}

double CounterLine::images_of(std::int64_t micro_batch) const {
  const std::int64_t batch = micro_batch / pass_.per_batch, index = micro_batch % pass_.per_batch;
  const std::int64_t of_batch = std::min(pass_.images_per_batch, pass_.images - batch * pass_.images_per_batch);
  return static_cast<double>(std::min(pass_.images_per_micro_batch, of_batch - index * pass_.images_per_micro_batch));
}

void CounterLine::add(const ActionRecord& action) {
  const TracedPipeline::Unit& unit = pipeline_.units[static_cast<std::size_t>(action.unit)];
  const bool forward = action.kind == ActionKind::forward, last = is_last(action.kind, pass_.training);
  for (std::size_t i = 0; i < pipeline_.links.size(); ++i) {
    const auto& [from, to] = pipeline_.links[i];
    if (forward && (unit.stage == from || unit.stage == to))
      change(action.end, action.batch, 2 * i, unit.stage == from ? 1 : -1);
    if (is_gradient(action.kind) && (unit.stage == from || unit.stage == to))
      change(action.end, action.batch, 2 * i + 1, unit.stage == to ? 1 : -1);
  }
  const int credit = credit_of_stage_[static_cast<std::size_t>(unit.stage)];
  const auto bytes = static_cast<double>(unit.held_bytes);
  const std::size_t memory = first_memory_ + static_cast<std::size_t>(unit.device);
  if (forward) {
    if (credit >= 0) change(action.begin, action.batch, first_credit_ + static_cast<std::size_t>(credit), 1);
    if (bytes > 0) change(action.begin, action.batch, memory, bytes);
  }
  if (last) {
    if (credit >= 0) change(action.end, action.batch, first_credit_ + static_cast<std::size_t>(credit), -1);
    if (bytes > 0) change(action.end, action.batch, memory, -bytes);
  }
  if (forward && unit.stage == loss_stage_) change(action.end, action.batch, rate_, images_of(action.micro_batch));
  seen_[static_cast<std::size_t>(unit.device)] = action.end;
  tell_until(*std::min_element(seen_.begin(), seen_.end()));
}

void CounterLine::tell_until(Nanoseconds time) {
  for (; !waiting_.empty() && waiting_.top().time <= time; waiting_.pop()) {
    const Change& change = waiting_.top();
    if (change.counter == rate_) {
      add_rate(change);
      continue;
    }
    double& value = values_[change.counter];
    // Below zero only where events were lost: what came in was not seen.
    value = std::max(0.0, value + change.by);
    tell_(change.counter, change.time, value, change.batch);
  }
}

/// Images of a batch over the time since the batch before it was through the loss. Batches are taken to leave the loss
/// one after another.
void CounterLine::add_rate(const Change& change) {
  batch_images_ += change.by;
  const double of_batch =
      static_cast<double>(std::min(pass_.images_per_batch, pass_.images - change.batch * pass_.images_per_batch));
  if (batch_images_ < of_batch || change.time <= batch_began_) return;
  tell_(rate_, change.time, batch_images_ / (static_cast<double>(change.time - batch_began_) * 1e-9), change.batch);
  batch_began_ = change.time;
  batch_images_ = 0;
}

void CounterLine::end_pass() { tell_until(std::numeric_limits<Nanoseconds>::max()); }

}  // namespace lenet_flow

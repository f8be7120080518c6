#include "engine/trace/collector.h"

#include <algorithm>
#include <limits>

namespace lenet_flow {

std::string TracedPipeline::unit_name(int unit) const {
  const Unit& facts = units[static_cast<std::size_t>(unit)];
  std::string name = stages[static_cast<std::size_t>(facts.stage)];
  const auto replicas =
      std::count_if(units.begin(), units.end(), [&](const Unit& other) { return other.stage == facts.stage; });
  if (replicas > 1) name += " [" + std::to_string(facts.replica + 1) + "]";
  return name;
}

Collector::Collector(const TracedPipeline& pipeline, std::size_t ring_capacity) : devices_(pipeline.devices.size()) {
  for (Device& device : devices_) device.ring = std::make_unique<EventRing>(ring_capacity);
}

void Collector::remove_sink(TraceSink& sink) { std::erase(sinks_, &sink); }

void Collector::begin_pass(const PassTrace& pass) {
  const Nanoseconds begin = steady_now();
  pass_ = pass;
  backward_ = 0;
  for (Device& device : devices_) {
    device.ring->read([](const Event&) {});  // sleep and wake-up between passes
    device.open = device.lost = false;
    device.last = pass.begin;
    device.slept = 0;
    device.lost_before = device.ring->lost();
  }
  for (TraceSink* sink : sinks_) sink->begin_pass(pass);
  spent_ += steady_now() - begin;
}

void Collector::collect() {
  const Nanoseconds begin = steady_now();
  for (std::size_t i = 0; i < devices_.size(); ++i)
    devices_[i].ring->read([&](const Event& event) { take(static_cast<int>(i), devices_[i], event); });
  spent_ += steady_now() - begin;
}

PassEnd Collector::end_pass(Nanoseconds now) {
  collect();
  const Nanoseconds begin = steady_now();
  PassEnd end{now, 0, backward_};
  for (std::size_t i = 0; i < devices_.size(); ++i) {
    Device& device = devices_[i];
    const std::uint64_t lost = device.ring->lost() - device.lost_before;
    end.lost += lost;
    // The last events found no room, and none came after them to say so; or the action never ended.
    if (device.lost || device.open || (lost > 0 && device.last < now && device.lost_from == 0)) {
      if (!device.lost) device.lost_from = device.last;
      say_lost(static_cast<int>(i), device, now);
    }
  }
  for (TraceSink* sink : sinks_) sink->end_pass(end);
  spent_ += steady_now() - begin;
  return end;
}

void Collector::begin_action(Device& device, const Event& event) {
  device.action = {};
  device.action.unit = event.unit;
  device.action.kind = event.kind;
  device.action.micro_batch = event.micro_batch;
  device.action.batch =
      event.kind == ActionKind::update ? event.micro_batch : event.micro_batch / std::max(1, pass_.per_batch);
  device.steps.clear();
  device.open = true;
}

void Collector::say_lost(int number, Device& device, Nanoseconds until) {
  for (TraceSink* sink : sinks_) sink->on_lost(number, device.lost_from, until);
  device.lost = false;
}

void Collector::end_action(int number, Device& device, const Event& event) {
  device.action.end = event.time;
  device.action.steps = device.steps;
  device.open = false;
  if (device.lost) say_lost(number, device, device.action.ready);
  for (TraceSink* sink : sinks_) sink->on_action(device.action);
}

void Collector::take(int number, Device& device, const Event& event) {
  ++events_;
  const bool is_need = event.type <= EventType::read_end;
  if (event.type == EventType::lost) {
    if (!device.lost) device.lost_from = device.last;
    device.lost = true;
    device.open = false;
    return;
  }
  if (!is_need && event.type != EventType::injected) {
    if (event.time < device.last) ++backward_;
    device.last = std::max(device.last, event.time);
  }
  if (event.type == EventType::asleep) {
    device.slept = event.time;
    return;
  }
  if (event.type == EventType::awake) {
    if (device.slept > 0)
      for (TraceSink* sink : sinks_) sink->on_sleep(number, device.slept, event.time);
    device.slept = 0;
    return;
  }
  if (!device.open) {
    if (!is_need) return;  // the rest of an action of which events were lost
    begin_action(device, event);
  }
  ActionRecord& action = device.action;
  const Arrival arrival{event.time, event.detail};
  switch (event.type) {
    case EventType::input: action.arrivals.input = arrival; break;
    case EventType::transfer: action.arrivals.transfer = arrival; break;
    case EventType::credit: action.arrivals.credit = arrival; break;
    case EventType::room: action.arrivals.room = arrival; break;
    case EventType::update: action.arrivals.update = arrival; break;
    case EventType::order: action.arrivals.order = arrival; break;
    case EventType::drained: action.drained = event.time; break;
    case EventType::read_asked: action.read.asked = event.time; break;
    case EventType::read_begin: action.read.begin = event.time; break;
    case EventType::read_end: action.read.end = event.time; break;
    case EventType::ready: action.ready = event.time; break;
    case EventType::begin: action.begin = event.time; break;
    case EventType::submitted: action.submitted = event.time; break;
    case EventType::transferred: action.transferred = event.time; break;
    case EventType::injected: action.injected += event.time; break;
    case EventType::step: device.steps.push_back({event.detail, event.time}); break;
    case EventType::end: end_action(number, device, event); break;
    case EventType::asleep:
    case EventType::awake:
    case EventType::lost: break;
  }
}

double seconds_per_event() {
  constexpr int rounds = 5, events = 4096;
  EventRing ring(2 * events);
  Nanoseconds best = std::numeric_limits<Nanoseconds>::max();
  for (int round = 0; round < rounds; ++round) {
    const Nanoseconds begin = steady_now();
    for (int i = 0; i < events; ++i) ring.write({steady_now(), i, 0, 0, EventType::step, ActionKind::forward});
    best = std::min(best, steady_now() - begin);
    ring.read([](const Event&) {});
  }
  return static_cast<double>(best) * 1e-9 / events;
}

}  // namespace lenet_flow

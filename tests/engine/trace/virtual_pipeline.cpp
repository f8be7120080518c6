#include "tests/engine/trace/virtual_pipeline.h"

#include <algorithm>
#include <map>
#include <optional>
#include <stdexcept>

#include "engine/schedule/schedule_rules.h"

namespace lenet_flow::test {
namespace {

constexpr Nanoseconds pass_begin = 1'000'000;
constexpr Nanoseconds never = std::numeric_limits<Nanoseconds>::max();

/// One action's way from the head of its device's list to its end.
struct Running {
  Arrivals arrivals;
  Nanoseconds ready = 0, begin = 0, end = 0;
};

class VirtualClock {
 public:
  VirtualClock(const VirtualPipeline& pipeline, std::size_t ring, int read_every)
      : p_(pipeline),
        rules_(pipeline.schedule, pipeline.shape, pipeline.limits, pipeline.batches),
        read_every_(read_every),
        position_(pipeline.schedule.size(), 0),
        free_(pipeline.schedule.size(), pass_begin),
        running_(pipeline.schedule.size()),
        done_(static_cast<std::size_t>(rules_.size()), never),
        reads_(static_cast<std::size_t>(pipeline.batches * pipeline.shape.micro_batches)),
        last_batch_(pipeline.shape.stages(), std::vector<int>(64, -1)) {
    name_all();
    collector_.emplace(result_.traced, ring);
    account_.emplace(result_.traced);
    collector_->add_sink(*account_);
    collector_->add_sink(keeper_);
  }

  VirtualRun run() {
    const int m = p_.shape.micro_batches;
    collector_->begin_pass({.epoch = 1,
                            .training = p_.shape.training,
                            .micro_batches = static_cast<std::int64_t>(p_.batches) * m,
                            .batches = p_.batches,
                            .per_batch = m,
                            .images_per_micro_batch = 1,
                            .images = static_cast<std::int64_t>(p_.batches) * m,
                            .begin = pass_begin});
    while (step()) {
    }
    result_.length = now_ - pass_begin;
    collector_->end_pass(now_);
    for (const TimeAccount& unit : account_->units()) result_.units.push_back(unit.seconds);
    for (const TimeAccount& device : account_->devices()) result_.devices.push_back(device.seconds);
    result_.lost = account_->lost();
    const RanBy by{p_.schedule, p_.shape, p_.limits, false};
    result_.diagnosis = diagnose({&result_.traced, &keeper_.passes()[0], &by, account_->epochs()[0].units});
    return std::move(result_);
  }

 private:
  struct Read {
    Nanoseconds asked = never, begin = never, end = never, taken = never;
    int takers = 0;
  };

  void name_all() {
    TracedPipeline& traced = result_.traced;
    for (std::size_t i = 0; i < p_.schedule.size(); ++i) traced.devices.push_back("cpu" + std::to_string(i));
    traced.links = p_.shape.links;
    traced.core_groups = p_.core_groups;
    traced.in_flight = p_.limits.in_flight;
    traced.link_capacity = p_.limits.link_capacity;
    traced.read_ahead = p_.read_ahead;
    traced.reader_threads = p_.reader_threads;
    for (int stage = 0; stage < p_.shape.stages(); ++stage) {
      traced.stages.push_back("s" + std::to_string(stage));
      first_unit_.push_back(static_cast<int>(traced.units.size()));
      for (int replica = 0; replica < p_.shape.replicas(stage); ++replica) {
        TracedPipeline::Unit unit{
            stage,
            replica,
            p_.shape.devices_of_stage[static_cast<std::size_t>(stage)][static_cast<std::size_t>(replica)],
            rules_.graph().is_entry(stage),
            {}};
        for (auto& steps : unit.steps) steps = {"a", "b"};
        traced.units.push_back(unit);
      }
      entries_ += rules_.graph().is_entry(stage) ? 1 : 0;
    }
  }

  /// Moves the clock to the next thing that happens. False when all is done.
  bool step() {
    read_what_can_be();
    for (std::size_t device = 0; device < running_.size(); ++device) take_up(device);
    for (std::size_t device = 0; device < running_.size(); ++device) begin(device);
    Nanoseconds next = never;
    for (std::size_t device = 0; device < running_.size(); ++device) {
      if (!running_[device]) continue;
      const Running& action = *running_[device];
      if (action.end > now_) next = std::min(next, action.end);
      if (action.ready > now_) next = std::min(next, action.ready);
    }
    for (const Read& read : reads_)
      if (read.end != never && read.end > now_) next = std::min(next, read.end);
    for (const auto& [time, ignored] : arrivals_)
      if (time > now_) {
        next = std::min(next, time);
        break;
      }
    if (next == never) return finish();
    now_ = next;
    for (std::size_t device = 0; device < running_.size(); ++device)
      if (running_[device] && running_[device]->end == now_) end(device);
    return true;
  }

  bool finish() const {
    for (std::size_t device = 0; device < running_.size(); ++device)
      if (position_[device] < p_.schedule[device].size() * static_cast<std::size_t>(p_.batches))
        throw std::logic_error("the virtual pipeline stands still");
    return false;
  }

  const Action& head(std::size_t device) const {
    return p_.schedule[device][position_[device] % p_.schedule[device].size()];
  }
  int batch(std::size_t device) const { return static_cast<int>(position_[device] / p_.schedule[device].size()); }
  int replica_of(const Action& action) const {
    return action.kind == ActionKind::update ? 0 : action.micro_batch % p_.shape.replicas(action.stage);
  }
  std::size_t number_in_pass(const Action& action, int batch) const {
    return static_cast<std::size_t>(batch * p_.shape.micro_batches + action.micro_batch);
  }

  /// Where the device is idle and all that its next action needs has come or is on its way: when that is.
  void take_up(std::size_t device) {
    if (running_[device] || position_[device] >= p_.schedule[device].size() * static_cast<std::size_t>(p_.batches))
      return;
    const Action& action = head(device);
    const int of_batch = batch(device);
    Running next;
    bool all = true;
    const auto came = [](Arrival& latest, Nanoseconds time, int from) {
      if (time >= latest.time) latest = {time, from};
    };
    rules_.needs(action, of_batch, [&](int number, Rule rule, int link) {
      const Nanoseconds ended = done_[static_cast<std::size_t>(number)];
      if (ended == never) {
        all = false;
        return;
      }
      const Action sender = rules_.action(number);
      const bool own = sender.stage == action.stage && replica_of(sender) == replica_of(action);
      if (rule == Rule::in_flight) return came(next.arrivals.credit, ended, sender.stage);
      if (own) return;
      if (rule == Rule::update) return came(next.arrivals.update, ended, sender.stage);
      if (rule != Rule::data) return came(next.arrivals.room, ended, sender.stage);
      came(next.arrivals.input, ended, sender.stage);
      const Nanoseconds transfer = link >= 0 ? p_.transfers[static_cast<std::size_t>(link)] : 0;
      if (transfer > 0) {
        came(next.arrivals.transfer, ended + transfer, sender.stage);
        arrivals_[ended + transfer] = true;
      }
    });
    if (action.kind == ActionKind::forward && rules_.graph().is_entry(action.stage)) {
      const Read& read = reads_[number_in_pass(action, of_batch)];
      if (read.end == never || read.end > now_) all = false;
      came(next.arrivals.input, read.end, -1);
    }
    if (!all) return;
    came(next.arrivals.order, free_[device], last_stage_[device]);
    const Arrivals& a = next.arrivals;
    next.ready = std::max({a.input.time, a.transfer.time, a.credit.time, a.room.time, a.update.time, a.order.time}) +
                 p_.wake_ups[device];
    running_[device] = next;
  }

  /// Begins what is ready, where its cores are free.
  void begin(std::size_t device) {
    if (!running_[device] || running_[device]->begin > 0 || running_[device]->ready > now_) return;
    const int group = p_.core_groups[device];
    if (group >= 0 && cores_busy_[group] > now_) return;
    Running& action = *running_[device];
    action.begin = now_;
    action.end = now_ + duration(head(device));
    if (group >= 0) cores_busy_[group] = action.end;
    if (head(device).kind == ActionKind::forward && rules_.graph().is_entry(head(device).stage)) {
      Read& read = reads_[number_in_pass(head(device), batch(device))];
      if (++read.takers == entries_) read.taken = now_;
    }
  }

  Nanoseconds duration(const Action& action) const {
    const VirtualPipeline::StageTimes& times = p_.stages[static_cast<std::size_t>(action.stage)];
    switch (action.kind) {
      case ActionKind::forward: return times.forward;
      case ActionKind::input_gradients: return times.input_gradients;
      case ActionKind::parameter_gradients: return times.parameter_gradients;
      case ActionKind::backward: return times.input_gradients + times.parameter_gradients;
      case ActionKind::update: return times.update;
    }
    return 0;
  }

  void read_what_can_be() {
    for (; asked_ < reads_.size(); ++asked_) {
      const auto ahead = static_cast<std::size_t>(p_.read_ahead);
      if (asked_ >= ahead && reads_[asked_ - ahead].taken > now_) break;
      Read& read = reads_[asked_];
      read.asked = now_;
      Nanoseconds& thread = *std::min_element(threads_free_.begin(), threads_free_.end());
      read.begin = std::max(thread, now_);
      thread = read.end = read.begin + p_.read;
    }
  }

  void end(std::size_t device) {
    const Action action = head(device);
    const int of_batch = batch(device);
    write(device, action, of_batch, *running_[device]);
    done_[static_cast<std::size_t>(rules_.number(action, of_batch))] = now_;
    free_[device] = now_;
    last_stage_[device] = action.stage;
    if (action.kind == ActionKind::update || !p_.shape.training)
      batch_ended_[of_batch] = std::max(batch_ended_[of_batch], now_);
    running_[device].reset();
    ++position_[device];
    if (++written_ % read_every_ == 0) collector_->collect();
  }

  void write(std::size_t device, const Action& action, int of_batch, const Running& ran) {
    const int unit = first_unit_[static_cast<std::size_t>(action.stage)] + replica_of(action);
    const auto number =
        static_cast<std::int32_t>(action.kind == ActionKind::update ? of_batch : number_in_pass(action, of_batch));
    EventRing& ring = collector_->ring(static_cast<int>(device));
    const auto note = [&](EventType type, Nanoseconds time, int detail = -1) {
      ring.write({time, number, static_cast<std::int16_t>(unit), static_cast<std::int16_t>(detail), type, action.kind});
    };
    const auto need = [&](EventType type, const Arrival& arrival) {
      if (arrival.time > 0) note(type, arrival.time, arrival.from);
    };
    need(EventType::order, ran.arrivals.order);
    need(EventType::input, ran.arrivals.input);
    need(EventType::transfer, ran.arrivals.transfer);
    need(EventType::credit, ran.arrivals.credit);
    need(EventType::room, ran.arrivals.room);
    need(EventType::update, ran.arrivals.update);
    int& last = last_batch_[static_cast<std::size_t>(action.stage)][static_cast<std::size_t>(replica_of(action))];
    if (last >= 0 && last != of_batch && p_.shape.training) note(EventType::drained, drained_at(of_batch - 1, ran));
    last = of_batch;
    if (action.kind == ActionKind::forward && rules_.graph().is_entry(action.stage)) {
      const Read& read = reads_[number_in_pass(action, of_batch)];
      note(EventType::read_asked, read.asked);
      note(EventType::read_begin, read.begin);
      note(EventType::read_end, read.end);
    }
    note(EventType::ready, ran.ready);
    note(EventType::begin, ran.begin);
    note(EventType::step, ran.begin + (ran.end - ran.begin) / 3, 0);
    note(EventType::step, ran.end, 1);
    note(EventType::end, ran.end);
  }

  Nanoseconds drained_at(int of_batch, const Running& ran) const {
    const auto found = batch_ended_.find(of_batch);
    return found == batch_ended_.end() ? 0 : std::min(found->second, ran.ready);
  }

  const VirtualPipeline& p_;
  ScheduleRules rules_;
  int read_every_;
  VirtualRun result_;
  std::optional<Collector> collector_;
  std::optional<Account> account_;
  Keeper keeper_;
  Nanoseconds now_ = pass_begin;
  std::vector<std::size_t> position_;
  std::vector<Nanoseconds> free_;
  std::vector<std::optional<Running>> running_;
  std::vector<Nanoseconds> done_;
  std::vector<Read> reads_;
  std::size_t asked_ = 0;
  std::vector<Nanoseconds> threads_free_ = std::vector<Nanoseconds>(static_cast<std::size_t>(p_.reader_threads), 0);
  std::map<Nanoseconds, bool> arrivals_;
  std::map<int, Nanoseconds> cores_busy_, batch_ended_;
  std::map<std::size_t, int> last_stage_;
  std::vector<int> first_unit_;
  std::vector<std::vector<int>> last_batch_;
  int entries_ = 0;
  std::int64_t written_ = 0;
};

}  // namespace

VirtualRun run(const VirtualPipeline& pipeline, std::size_t ring, int read_every) {
  return VirtualClock(pipeline, ring, read_every).run();
}

}  // namespace lenet_flow::test

#include "engine/trace/causes/pass_graph.h"

#include <algorithm>

namespace lenet_flow {

Nanoseconds last_arrival(const Arrivals& arrivals) {
  return std::max({arrivals.input.time, arrivals.transfer.time, arrivals.credit.time, arrivals.room.time,
                   arrivals.update.time, arrivals.order.time});
}

PassGraph::PassGraph(const TracedPipeline& pipeline, const KeptPass& pass, const RanBy& by)
    : pipeline_(pipeline), pass_(pass), of_unit_(pipeline.units.size()) {
  const PassTrace& facts = pass.pass;
  batches_ = whole_batches(by);
  const int micro_batches = by.whole_pass
                                ? static_cast<int>(facts.micro_batches)
                                : static_cast<int>(std::min<std::int64_t>(facts.per_batch, facts.micro_batches));
  for (const ActionRecord& action : pass.actions)
    if (action.batch < batches_) actions_.push_back(&action);
  std::stable_sort(actions_.begin(), actions_.end(),
                   [](const ActionRecord* a, const ActionRecord* b) { return a->begin < b->begin; });
  std::vector<std::size_t> last_of_device(pipeline.devices.size(), none);
  end_ = facts.begin;
  for (std::size_t i = 0; i < actions_.size(); ++i) {
    const auto unit = static_cast<std::size_t>(action(i).unit);
    std::size_t& before = last_of_device[static_cast<std::size_t>(pipeline.units[unit].device)];
    device_before_.push_back(before);
    unit_before_.push_back(of_unit_[unit].empty() ? none : of_unit_[unit].back());
    before = i;
    of_unit_[unit].push_back(i);
    end_ = std::max(end_, action(i).end);
    if (const int group = core_group(i); group >= 0) {
      if (of_cores_.size() <= static_cast<std::size_t>(group)) of_cores_.resize(static_cast<std::size_t>(group) + 1);
      of_cores_[static_cast<std::size_t>(group)].push_back(i);
    }
  }
  add_needs(by, micro_batches);
}

/// How many batches from the first on have all their actions here.
std::int64_t PassGraph::whole_batches(const RanBy& by) const {
  const PassTrace& facts = pass_.pass;
  std::int64_t batches = facts.batches;
  const bool short_last = facts.micro_batches != facts.batches * facts.per_batch;
  if (by.whole_pass) return pass_.whole ? batches : 0;
  if (short_last && batches > 1) --batches;
  if (pass_.whole) return batches;
  std::vector<std::size_t> count(static_cast<std::size_t>(batches), 0);
  for (const ActionRecord& action : pass_.actions)
    if (action.batch < batches) ++count[static_cast<std::size_t>(action.batch)];
  std::size_t full = 0;
  for (const auto& list : by.schedule) full += list.size();
  std::int64_t whole = 0;
  while (whole < batches && count[static_cast<std::size_t>(whole)] == full) ++whole;
  return whole;
}

void PassGraph::add_needs(const RanBy& by, int micro_batches) {
  ScheduleShape shape = by.shape;
  shape.micro_batches = micro_batches;
  const Schedule schedule =
      micro_batches < by.shape.micro_batches ? shortened(by.schedule, micro_batches) : by.schedule;
  const int batches = by.whole_pass ? 1 : static_cast<int>(std::max<std::int64_t>(batches_, 1));
  const ScheduleRules rules(schedule, shape, by.limits, batches);
  const auto place = [&](const ActionRecord& record) {
    const bool update = record.kind == ActionKind::update;
    const int index =
        update ? (by.whole_pass ? static_cast<int>(record.batch) : 0)
               : static_cast<int>(by.whole_pass ? record.micro_batch : record.micro_batch % pass_.pass.per_batch);
    return Action{pipeline_.units[static_cast<std::size_t>(record.unit)].stage, record.kind, index};
  };
  const auto batch_of = [&](const ActionRecord& record) { return by.whole_pass ? 0 : static_cast<int>(record.batch); };
  std::vector<std::size_t> number_of(static_cast<std::size_t>(rules.size()), none);
  for (std::size_t i = 0; i < actions_.size(); ++i)
    number_of[static_cast<std::size_t>(rules.number(place(action(i)), batch_of(action(i))))] = i;
  for (std::size_t i = 0; i < actions_.size(); ++i) {
    first_need_.push_back(needs_.size());
    const ActionRecord& record = action(i);
    // Without flush an update stands right behind what it needs in its device's list.
    if (by.whole_pass && record.kind == ActionKind::update) continue;
    rules.needs(place(record), batch_of(record), [&](int number, Rule rule, int link) {
      const std::size_t other = number_of[static_cast<std::size_t>(number)];
      if (other != none) needs_.push_back({other, rule, link});
    });
  }
  first_need_.push_back(needs_.size());
}

std::size_t PassGraph::ended_at(int stage, Nanoseconds time) const {
  for (std::size_t unit = 0; unit < of_unit_.size(); ++unit) {
    if (pipeline_.units[unit].stage != stage) continue;
    const auto& list = of_unit_[unit];
    const auto found = std::lower_bound(list.begin(), list.end(), time, [&](std::size_t number, Nanoseconds wanted) {
      return action(number).end < wanted;
    });
    if (found != list.end() && action(*found).end == time) return *found;
  }
  return none;
}

Nanoseconds PassGraph::hand_over(std::size_t number) const {
  const ActionRecord& record = action(number);
  return std::max<Nanoseconds>(0, record.ready - std::max(last_arrival(record.arrivals), begin()));
}

int PassGraph::core_group(std::size_t number) const {
  return pipeline_.core_groups.empty() ? -1 : pipeline_.core_groups[static_cast<std::size_t>(unit_of(number).device)];
}

Nanoseconds PassGraph::cores_taken(std::size_t number, Nanoseconds from, Nanoseconds until) const {
  const int group = core_group(number);
  if (group < 0 || until <= from) return 0;
  const auto& list = of_cores_[static_cast<std::size_t>(group)];
  auto other = std::lower_bound(list.begin(), list.end(), from,
                                [&](std::size_t one, Nanoseconds time) { return action(one).end <= time; });
  Nanoseconds taken = 0;
  for (; other != list.end() && action(*other).begin < until; ++other)
    if (unit_of(*other).device != unit_of(number).device)
      taken += std::min(until, action(*other).end) - std::max(from, action(*other).begin);
  return taken;
}

}  // namespace lenet_flow

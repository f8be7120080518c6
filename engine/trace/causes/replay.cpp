#include "engine/trace/causes/replay.h"

#include <algorithm>
#include <map>

namespace lenet_flow {
namespace {

/// When images are there: threads that decode, each a micro-batch at a time, as far ahead as there is room.
class ReaderModel {
 public:
  explicit ReaderModel(const PassGraph& graph)
      : graph_(graph),
        free_(static_cast<std::size_t>(std::max(1, graph.pipeline().reader_threads)), graph.begin()),
        ahead_(static_cast<std::size_t>(std::max(1, graph.pipeline().read_ahead))) {
    for (std::size_t i = 0; i < graph.size(); ++i) {
      const ActionRecord& record = graph.action(i);
      if (record.kind != ActionKind::forward || record.read.end == 0) continue;
      const auto number = static_cast<std::size_t>(record.micro_batch);
      if (reads_.size() <= number) reads_.resize(number + 1);
      Read& read = reads_[number];
      read.record = record.read;
      read.taken_then = std::max(read.taken_then, taken(record, record.begin));
    }
  }

  /// The images of a micro-batch, in the replay.
  Nanoseconds ready(std::size_t number) {
    for (; next_ <= number; ++next_) start(next_);
    return reads_[number].ready;
  }
  /// An entry stage has taken the images of a micro-batch.
  void take(const ActionRecord& record, Nanoseconds begin) {
    Read& read = reads_[static_cast<std::size_t>(record.micro_batch)];
    read.taken = std::max(read.taken, taken(record, begin));
  }

 private:
  struct Read {
    ReadRecord record;
    Nanoseconds taken_then = 0;                   ///< as it was
    Nanoseconds asked = 0, ready = 0, taken = 0;  ///< in the replay
  };

  static Nanoseconds taken(const ActionRecord& record, Nanoseconds begin) {
    return begin + std::max<Nanoseconds>(0, record.transferred - record.begin);
  }

  void start(std::size_t number) {
    Read& read = reads_[number];
    Nanoseconds could = graph_.begin(), could_then = graph_.begin();
    if (number > 0) {
      could = reads_[number - 1].asked;
      could_then = reads_[number - 1].record.asked;
    }
    if (number >= ahead_) {
      could = std::max(could, reads_[number - ahead_].taken);
      could_then = std::max(could_then, reads_[number - ahead_].taken_then);
    }
    read.asked = could + std::max<Nanoseconds>(0, read.record.asked - could_then);
    Nanoseconds& free = *std::min_element(free_.begin(), free_.end());
    free = std::max(free, read.asked) + read.record.end - read.record.begin;
    read.ready = free;
  }

  const PassGraph& graph_;
  std::vector<Read> reads_;
  std::vector<Nanoseconds> free_;
  std::size_t ahead_, next_ = 0;
};

/// How long data took over each link, where its record does not say: the mean of those that do.
std::vector<Nanoseconds> mean_transfers(const PassGraph& graph) {
  std::vector<Nanoseconds> sum(graph.pipeline().links.size(), 0), count(sum.size(), 0);
  for (std::size_t i = 0; i < graph.size(); ++i) {
    const Arrival& transfer = graph.action(i).arrivals.transfer;
    if (transfer.time == 0) continue;
    for (const PassGraph::Need& need : graph.needs(i))
      if (need.link >= 0 && graph.unit_of(need.action).stage == transfer.from) {
        sum[static_cast<std::size_t>(need.link)] += transfer.time - graph.action(need.action).end;
        ++count[static_cast<std::size_t>(need.link)];
      }
  }
  for (std::size_t i = 0; i < sum.size(); ++i)
    if (count[i] > 0) sum[i] /= count[i];
  return sum;
}

class Replay {
 public:
  Replay(const PassGraph& graph, const WhatIf& what)
      : graph_(graph), what_(what), reader_(graph), transfers_(mean_transfers(graph)), end_(graph.size(), 0) {}

  Nanoseconds length() {
    Nanoseconds last = graph_.begin();
    for (std::size_t i = 0; i < graph_.size(); ++i) {
      const ActionRecord& record = graph_.action(i);
      Nanoseconds at = std::max(graph_.begin(), needs_come(i));
      const bool reads = record.kind == ActionKind::forward && record.read.end > 0;
      if (reads && !what_.free_reader) at = std::max(at, reader_.ready(static_cast<std::size_t>(record.micro_batch)));
      if (!what_.free_hand_over) at += hand_over(i);
      const int group = graph_.pipeline().core_groups.empty()
                            ? -1
                            : graph_.pipeline().core_groups[static_cast<std::size_t>(graph_.unit_of(i).device)];
      if (group >= 0 && !what_.own_cores) at = std::max(at, cores_free_[group]);
      if (reads) reader_.take(record, at);
      end_[i] = at + duration(record);
      if (group >= 0) cores_free_[group] = end_[i];
      last = std::max(last, end_[i]);
    }
    return last - graph_.begin();
  }

 private:
  /// With cores of its own a device's thread would not have waited for them either.
  Nanoseconds hand_over(std::size_t i) const {
    const Nanoseconds all = graph_.hand_over(i);
    const Nanoseconds ready = graph_.action(i).ready;
    return what_.own_cores ? all - graph_.cores_taken(i, ready - all, ready) : all;
  }

  Nanoseconds duration(const ActionRecord& record) const {
    const Nanoseconds measured = record.end - record.begin;
    if (record.kind == ActionKind::update) return what_.free_updates ? 0 : measured;
    if (what_.stage_factors.empty()) return measured;
    const int stage = graph_.pipeline().units[static_cast<std::size_t>(record.unit)].stage;
    return static_cast<Nanoseconds>(static_cast<double>(measured) *
                                    what_.stage_factors[static_cast<std::size_t>(stage)]);
  }

  Nanoseconds needs_come(std::size_t i) const {
    const bool apart = !what_.apart.empty() && what_.apart[static_cast<std::size_t>(graph_.unit_of(i).device)];
    const std::size_t before = apart ? graph_.unit_before(i) : graph_.device_before(i);
    Nanoseconds at = before == PassGraph::none ? 0 : end_[before];
    for (const PassGraph::Need& need : graph_.needs(i)) {
      const bool room = need.rule != Rule::data && need.rule != Rule::update && need.rule != Rule::in_flight;
      if ((room && what_.free_room) || (need.rule == Rule::in_flight && what_.free_credits)) continue;
      at = std::max(at, end_[need.action] + transfer(i, need));
    }
    return at;
  }

  Nanoseconds transfer(std::size_t i, const PassGraph::Need& need) const {
    if (need.link < 0) return 0;
    const auto link = static_cast<std::size_t>(need.link);
    if (!what_.free_links.empty() && what_.free_links[link]) return 0;
    const Arrival& said = graph_.action(i).arrivals.transfer;
    if (said.time > 0 && said.from == graph_.unit_of(need.action).stage)
      return std::max<Nanoseconds>(0, said.time - graph_.action(need.action).end);
    return transfers_[link];
  }

  const PassGraph& graph_;
  const WhatIf& what_;
  ReaderModel reader_;
  std::vector<Nanoseconds> transfers_, end_;
  std::map<int, Nanoseconds> cores_free_;
};

}  // namespace

Nanoseconds replay(const PassGraph& graph, const WhatIf& what) { return Replay(graph, what).length(); }

}  // namespace lenet_flow

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <map>
#include <numeric>
#include <queue>
#include <set>
#include <unordered_map>

#include "engine/graph/network_parts.h"

namespace lenet_flow {
namespace {

/// Which layers run as one, before stages are numbered: group_of[layer].
using Groups = std::vector<int>;

/// Puts neighbours on one device into one group where the graph of groups stays acyclic.
///
/// A layer's level is the largest number of changes of device on any way to it. Neighbours on one device and one level
/// are one group at once: every edge between different groups goes up a level, so nothing can come back. What that
/// cuts without need (a neighbour that is higher for another input's sake) is merged edge by edge, in the order of the
/// file, where no other way leads from the one group to the other.
class Grouping {
 public:
  explicit Grouping(const Network& network) : network_(network), parent_(network.layers.size()) {
    std::iota(parent_.begin(), parent_.end(), 0);
    join_levels();
    collect_edges();
    merge_across_levels();
  }

  Groups groups() {
    Groups groups;
    for (std::size_t i = 0; i < parent_.size(); ++i) groups.push_back(find(static_cast<int>(i)));
    return groups;
  }

 private:
  int find(int layer) {
    while (parent_[index(layer)] != layer) layer = parent_[index(layer)] = parent_[index(parent_[index(layer)])];
    return layer;
  }

  template <typename Visit>
  void for_each_edge(Visit&& visit) {
    for (std::size_t i = 0; i < network_.layers.size(); ++i)
      for (const int producer : network_.layers[i].producers)
        if (producer != network_input) visit(producer, static_cast<int>(i));
  }

  bool same_device(int a, int b) const { return network_.layers[index(a)].device == network_.layers[index(b)].device; }

  void join_levels() {
    level_.assign(network_.layers.size(), 0);
    for (const int layer : network_.order)
      for (const int producer : network_.layers[index(layer)].producers)
        if (producer != network_input)
          level_[index(layer)] =
              std::max(level_[index(layer)], level_[index(producer)] + (same_device(producer, layer) ? 0 : 1));
    for_each_edge([&](int from, int to) {
      if (same_device(from, to) && level_[index(from)] == level_[index(to)]) parent_[index(find(to))] = find(from);
    });
  }

  void collect_edges() {
    successors_.resize(network_.layers.size());
    predecessors_.resize(network_.layers.size());
    for_each_edge([&](int from, int to) {
      const int a = find(from), b = find(to);
      if (a == b) return;
      successors_[index(a)].insert(b);
      predecessors_[index(b)].insert(a);
    });
    // From here on level_ is a group's, kept at its root; edges go up.
    for (std::size_t i = 0; i < level_.size(); ++i)
      level_[index(find(static_cast<int>(i)))] = std::max(level_[index(find(static_cast<int>(i)))], level_[i]);
  }

  void merge_across_levels() {
    for_each_edge([&](int from, int to) {
      const int a = find(from), b = find(to);
      if (a != b && same_device(from, to) && !leads_around(a, b)) merge(a, b);
    });
  }

  /// True where a way leads from `a` to `b` beside the edge between them.
  bool leads_around(int a, int b) const {
    std::set<int> seen;
    std::vector<int> open;
    const auto look_at = [&](int group) {
      if (level_[index(group)] < level_[index(b)] && seen.insert(group).second) open.push_back(group);
    };
    for (const int next : successors_[index(a)]) look_at(next);
    while (!open.empty()) {
      const int group = open.back();
      open.pop_back();
      for (const int next : successors_[index(group)]) {
        if (next == b) return true;
        look_at(next);
      }
    }
    return false;
  }

  /// `a` takes over `b`, which comes after it.
  void merge(int a, int b) {
    parent_[index(b)] = a;
    for (const int next : successors_[index(b)]) {
      predecessors_[index(next)].erase(b);
      predecessors_[index(next)].insert(a);
      successors_[index(a)].insert(next);
    }
    for (const int before : predecessors_[index(b)]) {
      successors_[index(before)].erase(b);
      if (before == a) continue;
      successors_[index(before)].insert(a);
      predecessors_[index(a)].insert(before);
    }
    successors_[index(b)].clear();
    predecessors_[index(b)].clear();
    level_[index(a)] = level_[index(b)];
    raise_successors(a);
  }

  void raise_successors(int group) {
    std::vector<int> open{group};
    while (!open.empty()) {
      const int at = open.back();
      open.pop_back();
      for (const int next : successors_[index(at)]) {
        if (level_[index(next)] > level_[index(at)]) continue;
        level_[index(next)] = level_[index(at)] + 1;
        open.push_back(next);
      }
    }
  }

  const Network& network_;
  std::vector<int> parent_;  ///< union-find over layers; a root stands for its group
  std::vector<int> level_;
  std::vector<std::set<int>> successors_, predecessors_;  ///< of roots
};

Groups hand_made_groups(const GraphFile& file, const Network& network) {
  std::unordered_map<std::string, int> stage_of;
  for (std::size_t stage = 0; stage < file.pipeline.stages.size(); ++stage)
    for (const std::string& name : file.pipeline.stages[stage].layers) stage_of.emplace(name, static_cast<int>(stage));
  Groups groups;
  int alone = static_cast<int>(file.pipeline.stages.size());
  for (const NetworkLayer& layer : network.layers)
    groups.push_back(layer.part.join >= 0 ? alone++ : stage_of.at(layer.name));
  return groups;
}

/// Numbers the groups as stages in a topological order, ties by the first layer in the file; false where there is a
/// cycle (then `network.stages` holds the stages outside it and before it).
bool number_stages(const Groups& groups, Network& network) {
  std::map<int, int> first_layer;  // group -> its first layer in the file
  std::map<int, std::set<int>> successors;
  std::map<int, int> waits_for;
  for (std::size_t i = 0; i < groups.size(); ++i) first_layer.emplace(groups[i], static_cast<int>(i));
  for (std::size_t i = 0; i < groups.size(); ++i)
    for (const int producer : network.layers[i].producers)
      if (producer != network_input && groups[index(producer)] != groups[i] &&
          successors[groups[index(producer)]].insert(groups[i]).second)
        ++waits_for[groups[i]];
  using Ready = std::pair<int, int>;  // first layer, group
  std::priority_queue<Ready, std::vector<Ready>, std::greater<>> ready;
  for (const auto& [group, first] : first_layer)
    if (waits_for[group] == 0) ready.emplace(first, group);
  std::map<int, int> stage_of;
  while (!ready.empty()) {
    const int group = ready.top().second;
    ready.pop();
    stage_of.emplace(group, static_cast<int>(stage_of.size()));
    for (const int next : successors[group])
      if (--waits_for[next] == 0) ready.emplace(first_layer[next], next);
  }
  network.stages.resize(stage_of.size());
  for (const int layer : network.order) {
    const auto stage = stage_of.find(groups[index(layer)]);
    network.layers[index(layer)].stage = stage == stage_of.end() ? -1 : stage->second;
    if (stage != stage_of.end()) network.stages[index(stage->second)].layers.push_back(layer);
  }
  return stage_of.size() == first_layer.size();
}

std::string stage_title(const StageEntry& stage) {
  if (!stage.name.empty()) return stage.name;
  return stage.layers.size() == 1 ? stage.layers.front()
                                  : fmt::format("{}..{}", stage.layers.front(), stage.layers.back());
}

/// Adds one problem that names a cycle of hand-made stages.
void name_stage_cycle(const GraphFile& file, const Network& network, const Groups& groups, Problems& problems) {
  std::map<int, int> producer_of;  // stage on or behind a cycle -> such a stage before it
  for (std::size_t i = 0; i < groups.size(); ++i)
    for (const int producer : network.layers[i].producers)
      if (producer != network_input && network.layers[i].stage == -1 && network.layers[index(producer)].stage == -1 &&
          groups[index(producer)] != groups[i])
        producer_of.emplace(groups[i], groups[index(producer)]);
  std::vector<int> path;
  int at = producer_of.begin()->first;
  while (std::find(path.begin(), path.end(), at) == path.end()) {
    path.push_back(at);
    at = producer_of.at(at);
  }
  // A part of a split layer is a stage that the file does not list; no cycle is of such alone.
  SourceLocation where;
  const auto name_of = [&](int group) {
    if (index(group) >= file.pipeline.stages.size())
      return network.layers[static_cast<std::size_t>(std::find(groups.begin(), groups.end(), group) - groups.begin())]
          .name;
    if (where.file.empty()) where = file.pipeline.stages[index(group)].where;
    return stage_title(file.pipeline.stages[index(group)]);
  };
  std::vector<std::string> names{name_of(at)};
  for (auto stage = path.rbegin(); *stage != at; ++stage) names.push_back(name_of(*stage));
  names.push_back(names.front());
  problems.add(where, "pipeline.stages", "the stages make a cycle: " + cycle_text(names));
}

void name_stages(const GraphFile& file, Network& network) {
  std::unordered_map<std::string, const StageEntry*> entry_of;
  for (const StageEntry& entry : file.pipeline.stages)
    for (const std::string& name : entry.layers) entry_of.emplace(name, &entry);
  for (Stage& stage : network.stages) {
    const NetworkLayer& first = network.layers[index(stage.layers.front())];
    const NetworkLayer& last = network.layers[index(stage.layers.back())];
    stage.devices = {first.device};
    stage.name = stage.layers.size() == 1 ? first.name : fmt::format("{}..{}", first.name, last.name);
    const auto entry = entry_of.find(first.name);
    if (entry == entry_of.end()) continue;
    if (!entry->second->name.empty()) stage.name = entry->second->name;
    if (!entry->second->devices.empty()) stage.devices = entry->second->devices;
    stage.recompute = entry->second->recompute;
    stage.costs = entry->second->costs;
  }
}

void collect_links(Network& network) {
  std::map<std::pair<int, int>, std::set<int>> crossing;  // (from, to) -> producers
  for (const NetworkLayer& layer : network.layers) {
    for (const int producer : layer.producers) {
      const int from = producer == network_input ? network_input : network.layers[index(producer)].stage;
      if (from == layer.stage) continue;
      std::set<int>& producers = crossing[{from, layer.stage}];
      if (producer != network_input) producers.insert(producer);
    }
  }
  for (const auto& [ends, producers] : crossing) {
    const auto [from, to] = ends;
    const std::string start = from == network_input ? "reader" : network.stages[index(from)].name;
    network.links.push_back(
        {from, to, {producers.begin(), producers.end()}, fmt::format("{}->{}", start, network.stages[index(to)].name)});
  }
}

}  // namespace

void check_hand_made_stages(const GraphFile& file, const Network& network, Problems& problems) {
  if (file.pipeline.stages.empty()) return;
  std::unordered_map<std::string, const NetworkLayer*> layers;
  for (const NetworkLayer& layer : network.layers) layers.emplace(layer.name, &layer);
  for (const StageEntry& stage : file.pipeline.stages) {
    const NetworkLayer* first = nullptr;
    for (const std::string& name : stage.layers) {
      const auto found = layers.find(name);
      if (found == layers.end()) continue;
      const NetworkLayer* layer = found->second;
      layers.erase(found);
      if (!first) first = layer;
      if (layer->device == first->device) continue;
      problems.add(stage.where, "pipeline.stages",
                   fmt::format("stage '{}' mixes devices: '{}' is on '{}', '{}' on '{}'; expected one device a stage",
                               stage_title(stage), first->name, first->device, layer->name, layer->device));
      first = layer;
    }
  }
  for (const NetworkLayer& layer : network.layers)
    if (layer.part.join < 0 && layers.contains(layer.name))
      problems.add(layer.where, "layers." + layer.name,
                   "is in no stage; expected every layer in exactly one stage of pipeline.stages");
}

void cut_stages(const GraphFile& file, Network& network, Problems& problems) {
  const bool by_hand = !file.pipeline.stages.empty();
  const Groups groups = by_hand ? hand_made_groups(file, network) : Grouping(network).groups();
  if (!number_stages(groups, network)) return name_stage_cycle(file, network, groups, problems);
  name_stages(file, network);
  collect_links(network);
}

}  // namespace lenet_flow

#include "engine/pipeline/injected_delays.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/graph/problems.h"

namespace lenet_flow {
namespace {

using Target = InjectEntry::Target;

constexpr auto bytes_of = [](const Shape& shape) {
  return shape.elements() * static_cast<std::int64_t>(sizeof(float));
};

/// Finds what entries of links mean by the names of stages and layers.
class LinkFinder {
 public:
  explicit LinkFinder(const Network& network) : network_(network) {}

  LinkDelay find(const InjectEntry& entry, Problems& problems) const {
    LinkDelay delay{stage(entry.from), stage(entry.to), entry.nanoseconds, entry.bytes_per_second};
    if (const Link* link = between(delay.from, delay.to)) {
      for (const int layer : link->layers) delay.forward_bytes += bytes_of(layer_at(layer).output_shape);
      delay.backward_bytes = gradient_bytes(delay.from, delay.to);
    } else {
      problems.add(entry.where, entry.where.line > 0 ? "pipeline.inject" : "", why_not(entry, delay));
    }
    return delay;
  }

  const Link* between(int from, int to) const {
    for (const Link& link : network_.links)
      if (from >= 0 && link.from == from && link.to == to) return &link;
    return nullptr;
  }

 private:
  const NetworkLayer& layer_at(int number) const { return network_.layers[static_cast<std::size_t>(number)]; }

  /// -1: no stage or layer has that name.
  int stage(const std::string& name) const {
    for (std::size_t i = 0; i < network_.stages.size(); ++i)
      if (network_.stages[i].name == name) return static_cast<int>(i);
    for (const NetworkLayer& layer : network_.layers)
      if (layer.name == name) return layer.stage;
    return -1;
  }

  /// Every consumer's gradient travels alone.
  std::int64_t gradient_bytes(int from, int to) const {
    std::int64_t bytes = 0;
    for (const int number : network_.stages[static_cast<std::size_t>(to)].layers) {
      const NetworkLayer& layer = layer_at(number);
      if (!layer.needs_input_gradients) continue;
      for (std::size_t input = 0; input < layer.producers.size(); ++input)
        if (layer.producers[input] != network_input && layer_at(layer.producers[input]).stage == from)
          bytes += bytes_of(layer.input_shapes[input]);
    }
    return bytes;
  }

  std::string why_not(const InjectEntry& entry, const LinkDelay& delay) const {
    const auto known = [this] {
      std::vector<std::string> names;
      for (const Stage& stage : network_.stages) names.push_back(stage.name);
      for (const NetworkLayer& layer : network_.layers) names.push_back(layer.name);
      return names;
    };
    if (delay.from < 0) return "unknown stage or layer " + with_suggestion(entry.from, known());
    if (delay.to < 0) return "unknown stage or layer " + with_suggestion(entry.to, known());
    const std::string wanted = entry.from + "->" + entry.to;
    if (delay.from == delay.to)
      return fmt::format("'{}' is no link: both ends are in stage '{}'", wanted,
                         network_.stages[static_cast<std::size_t>(delay.from)].name);
    if (const Link* other = between(delay.to, delay.from))
      return fmt::format("there is no link '{}'; write {}, which delays activations and gradients", wanted,
                         other->name);
    std::vector<std::string> names;
    for (const Link& link : network_.links)
      if (link.from != network_input) names.push_back(link.name);
    return "unknown link " + with_suggestion(wanted, names);
  }

  const Network& network_;
};

InjectedResult result_of(const InjectEntry& entry, std::string name) {
  static constexpr const char* words[] = {"layer", "device", "link"};
  return {entry.text,      words[static_cast<std::size_t>(entry.target)],
          std::move(name), static_cast<double>(entry.nanoseconds) * 1e-9,
          entry.factor,    entry.bytes_per_second};
}

/// All layers of that name in the file: the layer, or its parts where it is split.
void delay_layers(const Network& network, const InjectEntry& entry, InjectedDelays& delays) {
  delays.layers.resize(network.layers.size());
  for (std::size_t i = 0; i < network.layers.size(); ++i) {
    const NetworkLayer& layer = network.layers[i];
    const bool part =
        layer.part.join >= 0 && network.layers[static_cast<std::size_t>(layer.part.join)].name == entry.name;
    const bool joins = std::any_of(network.layers.begin(), network.layers.end(),
                                   [&](const NetworkLayer& other) { return other.part.join == static_cast<int>(i); });
    if (part || (layer.name == entry.name && !joins)) delays.layers[i] = {entry.nanoseconds, entry.factor};
  }
}

}  // namespace

InjectedDelays resolve_delays(const Network& network, const std::vector<InjectEntry>& entries) {
  InjectedDelays delays;
  Problems problems;
  const LinkFinder finder(network);
  const auto tell = [&](InjectedResult result) {
    std::erase_if(delays.results,
                  [&](const InjectedResult& other) { return other.what == result.what && other.name == result.name; });
    delays.results.push_back(std::move(result));
  };
  for (const InjectEntry& entry : entries) {
    if (entry.target == Target::layer) {
      delay_layers(network, entry, delays);
    } else if (entry.target == Target::device) {
      delays.devices[entry.name] = entry.factor;
    } else {
      const LinkDelay delay = finder.find(entry, problems);
      const Link* link = finder.between(delay.from, delay.to);
      if (!link) continue;
      std::erase_if(delays.links,
                    [&](const LinkDelay& other) { return other.from == delay.from && other.to == delay.to; });
      delays.links.push_back(delay);
      tell(result_of(entry, link->name));
      continue;
    }
    tell(result_of(entry, entry.name));
  }
  problems.throw_if_any();
  return delays;
}

Nanoseconds SlowLink::occupied(bool forward, std::int64_t images) const {
  if (delay_.bytes_per_second <= 0) return 0;
  const std::int64_t bytes = images * (forward ? delay_.forward_bytes : delay_.backward_bytes);
  return static_cast<Nanoseconds>(static_cast<double>(bytes) / delay_.bytes_per_second * 1e9);
}

Nanoseconds SlowLink::send(Nanoseconds now, bool forward, std::int64_t images) {
  std::atomic<Nanoseconds>& free = free_[forward ? 1 : 0];
  const Nanoseconds occupied = this->occupied(forward, images);
  Nanoseconds before = free.load(std::memory_order_relaxed);
  while (!free.compare_exchange_weak(before, std::max(now, before) + occupied, std::memory_order_relaxed)) {
  }
  return std::max(now, before) + occupied + delay_.latency;
}

}  // namespace lenet_flow

#include "engine/graph/network.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <queue>
#include <unordered_map>

#include "engine/graph/network_parts.h"
#include "layers/registry.h"

namespace lenet_flow {
namespace {

void make_layers(const GraphFile& file, Network& network, Problems& problems) {
  std::unordered_map<std::string, int> number_of;
  for (const LayerEntry& entry : file.layers) number_of.emplace(entry.name, static_cast<int>(number_of.size()));
  number_of["input"] = network_input;
  network.layers.resize(file.layers.size());
  for (std::size_t i = 0; i < file.layers.size(); ++i) {
    const LayerEntry& entry = file.layers[i];
    NetworkLayer& layer = network.layers[i];
    layer.name = entry.name;
    layer.type = entry.type->name;
    layer.device = entry.device;
    layer.where = entry.where;
    try {
      layer.layer = entry.type->make(entry.attributes);
    } catch (const ShapeError& error) {
      problems.add(entry.where, "layers." + entry.name, error.what());
    }
    for (const std::string& name : entry.after) layer.producers.push_back(number_of.at(name));
  }
  for (std::size_t i = 0; i < network.layers.size(); ++i) {
    const std::vector<int>& producers = network.layers[i].producers;
    for (std::size_t input = 0; input < producers.size(); ++input)
      if (producers[input] != network_input)
        network.layers[index(producers[input])].consumers.emplace_back(static_cast<int>(i), static_cast<int>(input));
  }
}

/// Adds a problem for each cycle among the layers that `done` leaves out: walks from producer to producer until a layer
/// comes up again. Every such layer has such a producer.
void name_cycles(const Network& network, const std::vector<bool>& done, Problems& problems) {
  std::vector<int> seen_in_walk(network.layers.size(), 0);
  int walk = 0;
  for (std::size_t start = 0; start < network.layers.size(); ++start) {
    if (done[start] || seen_in_walk[start] > 0) continue;
    ++walk;
    std::vector<int> path;
    int at = static_cast<int>(start);
    while (seen_in_walk[index(at)] == 0) {
      seen_in_walk[index(at)] = walk;
      path.push_back(at);
      const std::vector<int>& producers = network.layers[index(at)].producers;
      at = *std::find_if(producers.begin(), producers.end(),
                         [&](int producer) { return producer != network_input && !done[index(producer)]; });
    }
    if (seen_in_walk[index(at)] != walk) continue;  // leads into a cycle that has its line
    std::vector<std::string> names{network.layers[index(at)].name};
    for (auto layer = path.rbegin(); *layer != at; ++layer) names.push_back(network.layers[index(*layer)].name);
    names.push_back(names.front());
    const NetworkLayer& first = network.layers[index(at)];
    problems.add(first.where, fmt::format("layers.{}.after", first.name),
                 "the layers make a cycle: " + cycle_text(names));
  }
}

/// The layer whose output is the network's: the only one that nobody reads, or the last of them in the file.
void find_output(Network& network, Problems& problems) {
  std::vector<int> unread;
  for (std::size_t i = 0; i < network.layers.size(); ++i)
    if (network.layers[i].consumers.empty()) unread.push_back(static_cast<int>(i));
  if (unread.empty()) return;  // all on a cycle
  network.output_layer = unread.back();
  unread.pop_back();
  for (const int layer : unread)
    problems.add(network.layers[index(layer)].where, "layers." + network.layers[index(layer)].name,
                 fmt::format("nobody reads its output; expected it in some layer's \"after\" (the network's output is "
                             "that of '{}', the last such layer)",
                             network.layers[index(network.output_layer)].name));
}

void make_loss(const GraphFile& file, Network& network, Problems& problems) {
  NetworkLayer& output = network.layers[index(network.output_layer)];
  network.loss = find_loss_type(file.loss.type)->make(file.loss.attributes);
  if (output.output_shape.channels == 0) return;  // its shape is unknown
  output.folded = output.layer->fold_into_loss(file.loss.type);
  const std::string right = network.loss->mismatch(output.output_shape, network.classes);
  if (!right.empty())
    problems.add(
        file.loss.where, "loss",
        fmt::format("{} does not fit the network's output, {} made by '{}', and the {} classes of the data: {}",
                    file.loss.type, output.output_shape.text(), output.name, network.classes, right));
}

/// A layer's I is needed where a trained parameter lies before it.
void mark_needed_gradients(Network& network) {
  std::vector<bool> trained_up_to(network.layers.size(), false);
  for (const int number : network.order) {
    NetworkLayer& layer = network.layers[index(number)];
    layer.needs_input_gradients = std::any_of(layer.producers.begin(), layer.producers.end(), [&](int producer) {
      return producer != network_input && trained_up_to[index(producer)];
    });
    trained_up_to[index(number)] =
        layer.needs_input_gradients ||
        std::any_of(layer.parameters.begin(), layer.parameters.end(), [](const auto& spec) { return spec.trained; });
  }
}

}  // namespace

std::string cycle_text(const std::vector<std::string>& names) {
  constexpr std::size_t most_shown = 12;
  std::string text;
  for (std::size_t i = 0; i < names.size(); ++i) {
    const bool left_out = names.size() > most_shown && i >= most_shown / 2 && i + most_shown / 2 < names.size();
    if (left_out && i > most_shown / 2) continue;
    text += (i > 0 ? " -> " : "") + (left_out ? fmt::format("... ({} more)", names.size() - most_shown) : names[i]);
  }
  return text;
}

void order_layers(Network& network, Problems& problems) {
  std::vector<std::size_t> waits_for(network.layers.size(), 0);
  std::priority_queue<int, std::vector<int>, std::greater<>> ready;
  for (std::size_t i = 0; i < network.layers.size(); ++i) {
    const std::vector<int>& producers = network.layers[i].producers;
    waits_for[i] =
        producers.size() - static_cast<std::size_t>(std::count(producers.begin(), producers.end(), network_input));
    if (waits_for[i] == 0) ready.push(static_cast<int>(i));
  }
  std::vector<bool> done(network.layers.size(), false);
  while (!ready.empty()) {
    const int number = ready.top();
    ready.pop();
    done[index(number)] = true;
    network.order.push_back(number);
    for (const auto& [consumer, input] : network.layers[index(number)].consumers)
      if (--waits_for[index(consumer)] == 0) ready.push(consumer);
  }
  if (network.order.size() < network.layers.size()) name_cycles(network, done, problems);
}

Network make_network(const GraphFile& file, const Shape& input, std::int64_t classes) {
  Problems problems;
  Network network;
  network.input = input;
  network.classes = classes;
  make_layers(file, network, problems);
  problems.throw_if_any();
  order_layers(network, problems);
  infer_shapes(file, network, problems);
  check_hand_made_stages(file, network, problems);
  const bool whole_order = network.order.size() == network.layers.size();
  if (whole_order) {
    find_output(network, problems);
    make_loss(file, network, problems);
  }
  problems.throw_if_any();
  cut_stages(file, network, problems);
  problems.throw_if_any();
  mark_needed_gradients(network);
  return network;
}

}  // namespace lenet_flow

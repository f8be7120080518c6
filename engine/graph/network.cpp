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

std::unique_ptr<Layer> make_layer(const LayerEntry& entry, const Attributes& attributes, Problems& problems) {
  try {
    return entry.type->make(attributes);
  } catch (const ShapeError& error) {
    problems.add(entry.where, "layers." + entry.name, error.what());
    return nullptr;
  }
}

/// The parts of a layer that is split by its output channels, as even as can be, the first ones larger.
void make_parts(const LayerEntry& entry, const std::vector<int>& producers, Network& network, Problems& problems) {
  const std::string attribute = split_attribute(*entry.type);
  const std::int64_t channels = entry.attributes.integer(attribute);
  const auto parts = static_cast<std::int64_t>(entry.split.size());
  const std::shared_ptr<Layer> whole = make_layer(entry, entry.attributes, problems);
  const int join = static_cast<int>(network.layers.size() + entry.split.size());
  std::int64_t first = 0;
  for (std::int64_t i = 0; i < parts; ++i) {
    const std::int64_t count = channels / parts + (i < channels % parts ? 1 : 0);
    Attributes attributes = entry.attributes;
    attributes.set(attribute, count);
    NetworkLayer& part = network.layers.emplace_back();
    part.name = fmt::format("{}[{}]", entry.name, i);
    part.type = entry.type->name;
    part.device = entry.split[static_cast<std::size_t>(i)];
    part.where = entry.where;
    part.layer = make_layer(entry, attributes, problems);
    part.producers = producers;
    part.part = {join, first, whole};
    first += count;
  }
}

void make_layers(const GraphFile& file, Network& network, Problems& problems) {
  std::unordered_map<std::string, int> number_of{{"input", network_input}};
  int count = 0;
  for (const LayerEntry& entry : file.layers) {
    count += static_cast<int>(entry.split.size());
    number_of.emplace(entry.name, count++);
  }
  network.layers.reserve(static_cast<std::size_t>(count));
  for (const LayerEntry& entry : file.layers) {
    std::vector<int> producers;
    for (const std::string& name : entry.after) producers.push_back(number_of.at(name));
    if (!entry.split.empty()) {
      make_parts(entry, producers, network, problems);
      const int parts = static_cast<int>(entry.split.size()), join = static_cast<int>(network.layers.size());
      producers.clear();
      for (int i = join - parts; i < join; ++i) producers.push_back(i);
    }
    NetworkLayer& layer = network.layers.emplace_back();
    layer.name = entry.name;
    layer.device = entry.device;
    layer.where = entry.where;
    layer.producers = std::move(producers);
    const LayerType& concat = *find_layer_type("concat");
    layer.type = entry.split.empty() ? entry.type->name : concat.name;
    layer.layer = entry.split.empty() ? make_layer(entry, entry.attributes, problems) : concat.make(Attributes());
  }
  for (std::size_t i = 0; i < network.layers.size(); ++i) {
    const std::vector<int>& producers = network.layers[i].producers;
    for (std::size_t input = 0; input < producers.size(); ++input)
      if (producers[input] != network_input)
        network.layers[index(producers[input])].consumers.emplace_back(static_cast<int>(i), static_cast<int>(input));
  }
}

/// Puts layers in order as their producers come to be done; names a cycle where nothing can go on.
class Ordering {
 public:
  Ordering(Network& network, Problems& problems)
      : network_(network), problems_(problems), done_(network.layers.size(), false), waits_for_(network.layers.size()) {
    for (std::size_t i = 0; i < waits_for_.size(); ++i) {
      const std::vector<int>& producers = network.layers[i].producers;
      waits_for_[i] =
          static_cast<std::ptrdiff_t>(producers.size()) - std::count(producers.begin(), producers.end(), network_input);
      if (waits_for_[i] == 0) ready_.push(static_cast<int>(i));
    }
  }

  void run() {
    take_ready();
    for (std::size_t start = 0; start < done_.size() && !problems_.full(); ++start) {
      while (!done_[start] && !problems_.full()) {
        break_cycle(static_cast<int>(start));
        take_ready();
      }
    }
  }

 private:
  void take_ready() {
    while (!ready_.empty()) {
      const int layer = ready_.top();
      ready_.pop();
      if (done_[index(layer)]) continue;
      network_.order.push_back(layer);
      finish(layer);
    }
  }

  void finish(int layer) {
    done_[index(layer)] = true;
    for (const auto& [consumer, input] : network_.layers[index(layer)].consumers)
      if (--waits_for_[index(consumer)] == 0) ready_.push(consumer);
  }

  int waited_for_by(int layer) const {
    const std::vector<int>& producers = network_.layers[index(layer)].producers;
    return *std::find_if(producers.begin(), producers.end(),
                         [&](int producer) { return producer != network_input && !done_[index(producer)]; });
  }

  /// Walks from producer to producer until a layer comes up again: every layer that is not done waits for one. Adds a
  /// problem for the cycle and lets what is behind it go on.
  void break_cycle(int start) {
    std::unordered_map<int, std::size_t> position;
    std::vector<int> path;
    int at = start;
    while (position.emplace(at, path.size()).second) {
      path.push_back(at);
      at = waited_for_by(at);
    }
    path.erase(path.begin(), path.begin() + static_cast<std::ptrdiff_t>(position.at(at)));
    std::reverse(path.begin(), path.end());                                             // in the direction of data
    std::rotate(path.begin(), std::min_element(path.begin(), path.end()), path.end());  // from the first in the file
    std::vector<std::string> names;
    names.reserve(path.size() + 1);
    for (const int layer : path) names.push_back(network_.layers[index(layer)].name);
    names.push_back(names.front());
    const NetworkLayer& first = network_.layers[index(path.front())];
    problems_.add(first.where, fmt::format("layers.{}.after", first.name),
                  "the layers make a cycle: " + cycle_text(names));
    for (const int layer : path) finish(layer);
  }

  Network& network_;
  Problems& problems_;
  std::vector<bool> done_;
  std::vector<std::ptrdiff_t> waits_for_;  ///< producers that are not done
  std::priority_queue<int, std::vector<int>, std::greater<>> ready_;
};

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
    problems.add(file.loss.where, "loss", fmt::format("{}; the output is made by '{}'", right, output.name));
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

std::vector<FileParameter> file_parameters(const Network& network) {
  std::vector<FileParameter> parameters;
  std::unordered_map<std::string, std::size_t> number_of;
  for (std::size_t i = 0; i < network.layers.size(); ++i) {
    const NetworkLayer& layer = network.layers[i];
    const bool part = layer.part.join >= 0;
    const std::vector<ParameterSpec> whole =
        part ? layer.part.whole->parameters(layer.input_shapes) : std::vector<ParameterSpec>();
    for (std::size_t j = 0; j < layer.parameters.size(); ++j) {
      const ParameterSpec& spec = part ? whole[j] : layer.parameters[j];
      const std::string owner = part ? network.layers[index(layer.part.join)].name : layer.name;
      const auto [found, is_new] = number_of.emplace(owner + "." + spec.name, parameters.size());
      if (is_new) parameters.push_back({found->first, spec, {}});
      parameters[found->second].pieces.push_back(
          {static_cast<int>(i), static_cast<int>(j), layer.part.first * (spec.elements() / spec.shape[0])});
    }
  }
  return parameters;
}

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

void order_layers(Network& network, Problems& problems) { Ordering(network, problems).run(); }

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

#include "engine/graph/graphviz.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <iterator>
#include <map>

namespace lenet_flow {
namespace {

/// Light fills on which black is well read (ColorBrewer, set 3).
constexpr const char* colours[] = {"#8dd3c7", "#ffffb3", "#bebada", "#fb8072", "#80b1d3",
                                   "#fdb462", "#b3de69", "#fccde5", "#d9d9d9", "#bc80bd"};

std::string box(std::size_t number, const NetworkLayer& layer) {
  return fmt::format("    layer{} [label=\"{}\\n{}{}\\n{}\"];\n", number, layer.name, layer.type,
                     layer.folded ? " (in the loss)" : "", layer.output_shape.text());
}

}  // namespace

std::string graphviz(const Network& network) {
  std::map<std::string, std::size_t> device_number;
  for (const Stage& stage : network.stages) device_number.emplace(stage.devices.front(), device_number.size());
  std::string dot =
      "digraph network {\n"
      "  rankdir=TB;\n"
      "  node [shape=box, style=\"rounded,filled\", fillcolor=white, fontname=\"sans-serif\", fontsize=11];\n"
      "  edge [fontname=\"sans-serif\", fontsize=9];\n"
      "  graph [fontname=\"sans-serif\", fontsize=11];\n";
  dot += fmt::format("  input [label=\"input\\n{}\", shape=ellipse];\n", network.input.text());
  for (std::size_t i = 0; i < network.stages.size(); ++i) {
    const Stage& stage = network.stages[i];
    dot += fmt::format(
        "  subgraph cluster_stage{} {{\n    label=\"stage {}: {} on {}\";\n    style=filled;\n    fillcolor=\"{}\";\n",
        i, i, stage.name, fmt::join(stage.devices, ", "),
        colours[device_number.at(stage.devices.front()) % std::size(colours)]);
    for (const int layer : stage.layers)
      dot += box(static_cast<std::size_t>(layer), network.layers[static_cast<std::size_t>(layer)]);
    dot += "  }\n";
  }
  dot += "  loss [label=\"loss\", shape=ellipse];\n";
  for (std::size_t i = 0; i < network.layers.size(); ++i) {
    const NetworkLayer& layer = network.layers[i];
    for (std::size_t input = 0; input < layer.producers.size(); ++input) {
      const int producer = layer.producers[input];
      const std::string from = producer == network_input ? "input" : fmt::format("layer{}", producer);
      const bool crosses =
          producer != network_input && network.layers[static_cast<std::size_t>(producer)].stage != layer.stage;
      dot += fmt::format("  {} -> layer{} [label=\"{}\"{}];\n", from, i, layer.input_shapes[input].text(),
                         crosses ? ", penwidth=2" : "");
    }
  }
  const NetworkLayer& output = network.layers[static_cast<std::size_t>(network.output_layer)];
  dot += fmt::format("  layer{} -> loss [label=\"{}\"];\n}}\n", network.output_layer, output.output_shape.text());
  return dot;
}

}  // namespace lenet_flow

#include "tools/network_tables.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "tools/table.h"
#include "tools/units.h"

namespace lenet_flow {
namespace {

using Align = Table::Align;

constexpr std::size_t list_columns = 40;

const NetworkLayer& layer_at(const Network& network, int number) {
  return network.layers[static_cast<std::size_t>(number)];
}

std::int64_t parameter_count(const NetworkLayer& layer) {
  std::int64_t count = 0;
  for (const ParameterSpec& spec : layer.parameters) count += spec.elements();
  return count;
}

/// I (where somebody needs it) and W of one image.
double backward_flops(const NetworkLayer& layer) {
  return (layer.needs_input_gradients ? layer.flops.input_gradients : 0) + layer.flops.parameter_gradients;
}

std::uint64_t image_bytes(const Shape& shape) { return static_cast<std::uint64_t>(shape.elements()) * sizeof(float); }

/// The producers of a layer where they are not just the layer before it; else empty.
std::string producers_text(const Network& network, std::size_t number) {
  const std::vector<int>& producers = network.layers[number].producers;
  if (producers.size() == 1 && producers[0] == static_cast<int>(number) - 1) return {};
  std::vector<std::string> names;
  for (const int producer : producers)
    names.push_back(producer == network_input ? "input" : layer_at(network, producer).name);
  return fmt::format("{}", fmt::join(names, ", "));
}

std::vector<std::string> layer_names(const Network& network, const std::vector<int>& layers) {
  std::vector<std::string> names;
  for (const int number : layers) names.push_back(layer_at(network, number).name);
  return names;
}

}  // namespace

std::string layer_table(const Network& network, const Terminal& terminal) {
  bool branches = false;
  for (std::size_t i = 0; i < network.layers.size(); ++i) branches = branches || !producers_text(network, i).empty();
  std::vector<Table::Column> columns{{"layer", Align::left}, {"type", Align::left}, {"device", Align::left}};
  if (branches) columns.push_back({"after", Align::left});
  for (const char* heading : {"output", "parameters", "FLOPs forward", "backward", "bytes"})
    columns.push_back({heading});
  Table table(columns);
  std::int64_t parameters = 0;
  double forward = 0, backward = 0;
  std::uint64_t bytes = 0;
  for (std::size_t i = 0; i < network.layers.size(); ++i) {
    const NetworkLayer& layer = network.layers[i];
    const std::int64_t count = parameter_count(layer);
    std::vector<std::string> row{layer.name, layer.type + (layer.folded ? " (in the loss)" : ""), layer.device};
    if (branches) row.push_back(producers_text(network, i));
    row.insert(row.end(), {layer.output_shape.text(), count_text(count), amount_text(layer.flops.forward),
                           amount_text(backward_flops(layer)), bytes_text(image_bytes(layer.output_shape))});
    table.add_row(row);
    parameters += count;
    forward += layer.flops.forward;
    backward += backward_flops(layer);
    bytes += image_bytes(layer.output_shape);
  }
  std::vector<std::string> sums{"all", "", ""};
  if (branches) sums.push_back("");
  sums.insert(sums.end(), {"", count_text(parameters), amount_text(forward), amount_text(backward), bytes_text(bytes)});
  table.add_footer(sums);
  return table.text(terminal);
}

std::string stage_table(const Network& network, bool whole_lists, const Terminal& terminal) {
  Table table({{"stage", Align::left},
               {"device", Align::left},
               {"layers", Align::left},
               {"parameters"},
               {"FLOPs forward"},
               {"backward"},
               {"share"}});
  double all = 0;
  for (const NetworkLayer& layer : network.layers) all += layer.flops.forward + backward_flops(layer);
  for (const Stage& stage : network.stages) {
    std::int64_t parameters = 0;
    double forward = 0, backward = 0;
    for (const int number : stage.layers) {
      const NetworkLayer& layer = layer_at(network, number);
      parameters += parameter_count(layer);
      forward += layer.flops.forward;
      backward += backward_flops(layer);
    }
    table.add_row({stage.name, fmt::format("{}", fmt::join(stage.devices, " ")),
                   shortened_list(layer_names(network, stage.layers), whole_lists ? std::string::npos : list_columns),
                   count_text(parameters), amount_text(forward), amount_text(backward),
                   all > 0 ? percent_text((forward + backward) / all, 1) : "-"});
  }
  return table.text(terminal);
}

std::string link_table(const Network& network, const PipelinePlan& plan, std::int64_t micro_batch,
                       const Terminal& terminal) {
  Table table({{"link", Align::left}, {"carries", Align::left}, {"of", Align::left}, {"a micro-batch"}, {"capacity"}});
  for (const Link& link : network.links) {
    if (link.from == network_input) continue;
    std::vector<std::string> shapes;
    std::uint64_t bytes = 0;
    for (const int number : link.layers) {
      shapes.push_back(layer_at(network, number).output_shape.text());
      bytes += image_bytes(layer_at(network, number).output_shape) * static_cast<std::uint64_t>(micro_batch);
    }
    table.add_row({link.name, fmt::format("{}", fmt::join(shapes, ", ")),
                   shortened_list(layer_names(network, link.layers), list_columns), bytes_text(bytes),
                   std::to_string(plan.limits.link_capacity)});
  }
  return table.empty() ? std::string() : table.text(terminal);
}

std::string memory_table(const DeviceSet& devices, const PipelinePlan& plan, const Terminal& terminal) {
  Table table({{"memory", Align::left},
               {"is", Align::left},
               {"parameters"},
               {"gradients"},
               {"optimizer"},
               {"activations"},
               {"workspace"},
               {"all"}});
  for (int index = 0; index < devices.size(); ++index) {
    MemoryBytes sum;
    for (const StageMemory& unit : plan.memory) {
      if (plan.device_of(unit) != index) continue;
      const MemoryBytes& bytes = unit.bytes();
      sum.parameters += bytes.parameters;
      sum.gradients += bytes.gradients;
      sum.optimizer += bytes.optimizer;
      sum.activations += bytes.activations;
    }
    sum.workspace = plan.workspace_bytes[static_cast<std::size_t>(index)];  // one that its stages share
    table.add_row({devices.device(index).name(), devices.device(index).description(), bytes_text(sum.parameters),
                   bytes_text(sum.gradients), bytes_text(sum.optimizer), bytes_text(sum.activations),
                   bytes_text(sum.workspace), bytes_text(sum.sum())});
  }
  table.add_row(
      {"reader", "host memory", "", "", "", bytes_text(plan.reader_bytes), "", bytes_text(plan.reader_bytes)});
  return table.text(terminal);
}

std::string recompute_table(const Network& network, const PipelinePlan& plan, const Terminal& terminal) {
  Table table({{"recompute", Align::left}, {"device", Align::left}, {"memory"}, {"without"}, {"", Align::left}});
  for (const StageMemory& unit : plan.memory) {
    if (!unit.needs().recompute) continue;
    const std::uint64_t with = unit.bytes().sum(), without = bytes_without_recompute(network, unit).sum();
    const Stage& stage = network.stages[static_cast<std::size_t>(unit.stage())];
    table.add_row({stage.name, stage.devices[static_cast<std::size_t>(unit.replica())], bytes_text(with),
                   bytes_text(without), saving_text(without, with)});
  }
  return table.empty() ? std::string() : table.text(terminal);
}

}  // namespace lenet_flow

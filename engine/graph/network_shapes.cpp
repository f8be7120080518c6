#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "devices/machine.h"
#include "engine/graph/network_parts.h"

namespace lenet_flow {
namespace {

constexpr auto most_output_elements = static_cast<double>(most_elements);  // of one image, and an extent of it
constexpr double bytes_per_element = 4;

std::string gibibytes(double bytes) { return fmt::format("{:.3g} GiB", bytes / (1 << 30)); }

double memory_of_this_machine() {
  const auto bytes = static_cast<double>(Machine::here().memory_bytes());
  return bytes > 0 ? bytes : 1e12;
}

/// In floating point, where nothing overflows.
double elements_of(const Shape& shape) {
  return static_cast<double>(shape.channels) * static_cast<double>(shape.height) * static_cast<double>(shape.width);
}

double elements_of(const ParameterSpec& spec) {
  double product = 1;
  for (const std::int64_t extent : spec.shape) product *= static_cast<double>(extent);
  return product;
}

bool can_be_counted(const Shape& shape) {
  return shape.channels >= 1 && shape.height >= 1 && shape.width >= 1 && elements_of(shape) <= most_output_elements;
}

/// "6x28x28 made by 'conv1'", for every input.
std::string inputs_text(const GraphFile& file, const Network& network, const NetworkLayer& layer) {
  constexpr std::size_t most_listed = 8;
  std::string text;
  for (std::size_t i = 0; i < std::min(layer.producers.size(), most_listed); ++i) {
    const int producer = layer.producers[i];
    const std::string maker = producer == network_input
                                  ? fmt::format("the network's input (data set '{}')", file.data.set)
                                  : fmt::format("made by '{}'", network.layers[index(producer)].name);
    text += (i > 0 ? ", " : "") + fmt::format("{} {}", layer.input_shapes[i].text(), maker);
  }
  if (layer.producers.size() > most_listed) text += fmt::format(" and {} more", layer.producers.size() - most_listed);
  return (layer.producers.size() == 1 ? "its input is " : "its inputs are ") + text;
}

/// Infers one layer after another and adds up what they take.
class ShapeInference {
 public:
  ShapeInference(const GraphFile& file, Network& network, Problems& problems)
      : file_(file), network_(network), problems_(problems), memory_(memory_of_this_machine()) {}

  void infer(NetworkLayer& layer) {
    if (!gather_inputs(layer)) return;
    Shape output;
    try {
      output = layer.layer->output_shape(layer.input_shapes);
    } catch (const ShapeError& error) {
      return problem(layer, fmt::format("{}; {}", error.what(), inputs_text(file_, network_, layer)));
    }
    if (!can_be_counted(output))
      return problem(layer,
                     fmt::format("its output would have {:.3g} elements an image, expected 1 to {:.0f}; {}",
                                 elements_of(output), most_output_elements, inputs_text(file_, network_, layer)));
    layer.output_shape = output;
    activations_ += elements_of(output) * bytes_per_element;
    layer.parameters = layer.layer->parameters(layer.input_shapes);
    layer.flops = layer.layer->flops(layer.input_shapes);
    add_parameters(layer);
  }

  /// Whether a micro-batch's activations, which live at the same time when training, can fit at all.
  void check_activations() {
    const double bytes = activations_ * static_cast<double>(file_.pipeline.micro_batch);
    if (bytes <= memory_) return;
    SourceLocation where = file_.pipeline.where_micro_batch;
    if (where.file.empty()) where.file = file_.path;
    problems_.add(
        where, "pipeline.micro_batch",
        fmt::format("the activations of one micro-batch of {} images take {}, this machine has {}; expected at "
                    "most {:.0f} images",
                    file_.pipeline.micro_batch, gibibytes(bytes), gibibytes(memory_),
                    std::floor(memory_ / activations_)));
  }

 private:
  void problem(const NetworkLayer& layer, std::string message) {
    problems_.add(layer.where, "layers." + layer.name, std::move(message));
  }

  /// False where an input's shape is unknown: its layer has a problem of its own.
  bool gather_inputs(NetworkLayer& layer) {
    for (const int producer : layer.producers) {
      layer.input_shapes.push_back(producer == network_input ? network_.input
                                                             : network_.layers[index(producer)].output_shape);
      if (layer.input_shapes.back().channels == 0) return false;
    }
    return true;
  }

  void add_parameters(const NetworkLayer& layer) {
    double bytes = 0;
    for (const ParameterSpec& spec : layer.parameters) bytes += elements_of(spec) * bytes_per_element;
    const bool fitted = parameters_ <= memory_;
    parameters_ += bytes;
    if (fitted && parameters_ > memory_)
      problem(layer,
              fmt::format("its parameters take {}, with those of the layers before it {}; this machine has {} of "
                          "memory; {}",
                          gibibytes(bytes), gibibytes(parameters_), gibibytes(memory_),
                          inputs_text(file_, network_, layer)));
  }

  const GraphFile& file_;
  Network& network_;
  Problems& problems_;
  const double memory_;
  double activations_ = 0;  ///< bytes an image
  double parameters_ = 0;   ///< bytes
};

}  // namespace

void infer_shapes(const GraphFile& file, Network& network, Problems& problems) {
  if (!can_be_counted(network.input))
    return problems.add(
        file.data.where_set, "data.set",
        fmt::format("expected images of 1 to {:.0f} elements, got {}", most_output_elements, network.input.text()));
  ShapeInference inference(file, network, problems);
  for (NetworkLayer& layer : network.layers) layer.output_shape = {0, 0, 0};
  for (const int number : network.order) inference.infer(network.layers[index(number)]);
  inference.check_activations();
}

}  // namespace lenet_flow

#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/graph/graph_file.h"

namespace lenet_flow {

/// The number that stands for the network's input where a layer's producers are listed.
inline constexpr int network_input = -1;

/// One layer of a checked network.
struct NetworkLayer {
  std::string name;
  std::string type;
  /// A layer of the file that is split over devices is several here: its parts "conv2[0]", "conv2[1]", ... and, under
  /// the file's name, the concatenation of their outputs. A part knows whose it is.
  struct Part {
    int join = -1;                 ///< the number of the concatenation; -1: this layer is no part
    std::int64_t first = 0;        ///< output channel of the whole layer
    std::shared_ptr<Layer> whole;  ///< the layer as the file says it
  } part;
  std::string device;
  std::unique_ptr<Layer> layer;
  std::vector<int> producers;  ///< a layer's number or network_input, in the order of "after"
  /// Who reads the output: (layer, which of its inputs), in the order of the file. Each one's gradient travels alone;
  /// the producer adds them in this order.
  std::vector<std::pair<int, int>> consumers;
  std::vector<Shape> input_shapes;
  Shape output_shape;
  std::vector<ParameterSpec> parameters;
  Flops flops;          ///< one image
  bool folded = false;  ///< its mathematics is done by the loss; passes its input through
  /// False where no trained parameter lies at or before this layer's inputs: nobody needs its I.
  bool needs_input_gradients = true;
  int stage = 0;
  SourceLocation where;
};

/// Layers that run as one unit on one device: the unit of pipelining.
struct Stage {
  std::string name;  ///< given by the file, or "conv1..pool2" after the first and last layer, or the only layer's
  std::vector<std::string> devices;  ///< names in the file, one a replica
  std::vector<int> layers;           ///< numbers, in execution order
  bool recompute = false;            ///< keeps only its input from F, and runs its forward again before its backward
  StageCostsEntry costs;             ///< given by the file
};

/// A directed edge between two stages: the activations that cross it.
struct Link {
  int from = 0, to = 0;     ///< stages; from = network_input for the link from the reader
  std::vector<int> layers;  ///< producers in `from` whose outputs cross, each once
  std::string name;         ///< "conv1..pool2->fc1..fc3"
};

/// A checked network: shapes fit, the graph is acyclic, every layer has a stage. Layers are in the order of the file;
/// Stage::layers and `order` are in an execution order (topological, ties in the order of the file).
struct Network {
  Shape input;
  std::int64_t classes = 0;
  std::vector<NetworkLayer> layers;
  std::vector<int> order;     ///< layer numbers, topological
  std::vector<Stage> stages;  ///< in a topological order
  std::vector<Link> links;    ///< stage to stage; and from the reader to each stage that reads the input
  int output_layer = 0;
  std::unique_ptr<Loss> loss;
};

/// One parameter as files have it: the whole of it where its layer is split.
struct FileParameter {
  std::string name;    ///< "conv2.weight"
  ParameterSpec spec;  ///< of the whole
  struct Piece {
    int layer = 0, parameter = 0;  ///< numbers
    std::int64_t first = 0;        ///< element of the whole
  };
  std::vector<Piece> pieces;  ///< in order; together they are the whole
};

/// Every parameter in the order of the file.
std::vector<FileParameter> file_parameters(const Network& network);

/// Makes the network of a graph file for images of shape `input` in `classes` classes. Throws InputError with every
/// error found: cycles (named), outputs that nobody reads, shapes that do not fit (both shapes, and which layer made
/// each), sizes beyond what can be counted, stages by hand that leave a layer out, mix devices or make a cycle, a loss
/// that does not fit the output or the classes.
Network make_network(const GraphFile& file, const Shape& input, std::int64_t classes);

}  // namespace lenet_flow

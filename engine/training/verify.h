#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/training/trainer.h"

namespace lenet_flow {

/// The loss of one micro-batch, by the file's schedule and by `sequential`.
struct LossDifference {
  std::uint64_t step = 0;  ///< from 1
  int micro_batch = 0;     ///< of that step's batch, from 1
  double loss = 0, reference = 0;
};

/// A parameter, or a tensor of optimizer state, that differs in a bit.
struct TensorDifference {
  std::string tensor, layer;  ///< "conv1.weight#momentum", "conv1"
  std::int64_t elements = 0, different = 0;
  double largest = 0;              ///< largest |a - b|; infinite where one alone is NaN
  std::int64_t first = 0;          ///< the first element that differs
  float value = 0, reference = 0;  ///< of that element
};

/// Where a difference begins, as found by training again with fewer steps.
struct FirstDifference {
  /// False where the difference did not show up again: `step` is then the first at which the whole run shows one.
  bool reproduced = true;
  std::uint64_t step = 0;                 ///< all is equal after the step before
  std::optional<LossDifference> loss;     ///< the first in that step; none: it began in a backward or an update
  std::vector<TensorDifference> tensors;  ///< after that step, in the order of the file
  /// Of the layers that differ after it, the one nearest to the network's output: where gradients pass first.
  std::string layer;
};

/// `verify`: the same work by the file's schedule and by `sequential`.
struct Verification {
  std::string schedule;
  std::uint64_t steps = 0;
  std::int64_t losses = 0, parameters = 0, elements = 0, states = 0;  ///< compared; elements: of the parameters
  std::optional<LossDifference> loss;                                 ///< the first of the whole run
  std::vector<TensorDifference> differences;                          ///< after its last step
  std::optional<FirstDifference> first;                               ///< set where not equal, unless interrupted
  std::string sha256, reference_sha256;                               ///< of the parameters
  std::vector<std::string> warnings;
  bool interrupted = false;  ///< by RunOptions::stop, before all was known
  bool equal() const { return !loss && differences.empty(); }
};

/// Trains `steps` batches (0: one epoch) twice from the same start, by the file's schedule and by `sequential` on the
/// same devices, and compares every micro-batch's loss, every parameter and all optimizer state bit for bit. Only where
/// something differs it trains again, over ever shorter passes, to find the step and layer in which it begins. Throws
/// InputError (exit code 2; also where the file runs without flush), MissingError (3), RunError (1).
Verification verify_graph(const RunOptions& options, std::uint64_t steps);

/// `verify --reference cpu`: each layer on its device against the same layer on a CPU.
struct LayerVerification {
  /// The worst |a - b| / (1 + greatest |b| of the tensor) by tensors of a kind, as a share of the layer's tolerance;
  /// none where the layer has no such tensor or nobody asks for it.
  struct Layer {
    std::string name, type;     ///< the loss is the last of them
    std::string device;         ///< name in the file
    std::string on, reference;  ///< what it runs on, and what it is compared with: "1 core (0)"
    double tolerance = 0;
    std::optional<double> output, input_gradients, parameter_gradients, statistics;
    /// The greatest of them; infinite where one tensor alone has a NaN.
    double worst() const;
  };
  std::int64_t images = 0;    ///< of the micro-batch
  bool cpu_only = true;       ///< no layer is on a device of another kind
  std::vector<Layer> layers;  ///< in execution order; one for each device of a stage with replicas
  std::vector<std::string> warnings;
  bool within() const;
};

/// Runs the first micro-batch of the training images through the network on a CPU, forward and backward, and every
/// layer with the same inputs and the same gradients on its own device. A layer that is on a CPU device itself is
/// compared with a CPU device of another number of cores. Same exceptions.
LayerVerification verify_layers(const RunOptions& options);

}  // namespace lenet_flow

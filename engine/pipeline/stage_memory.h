#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "devices/device.h"
#include "engine/graph/network.h"
#include "engine/schedule/schedule.h"

namespace lenet_flow {

/// What decides how much memory a replica of a stage needs.
struct MemoryNeeds {
  std::int64_t micro_batch = 1;  ///< images
  int micro_batches = 1;         ///< of a full batch
  StageSlots slots;
  /// Micro-batches between their I and their W at a time, at least 1: gradients inside the stage live between them, and
  /// where the stage recomputes its activations too.
  int backward_slots = 1;
  bool training = true;
  bool recompute = false;
  int staging = 1;           ///< micro-batches whose parameter gradients are kept apart at a time
  int optimizer_states = 0;  ///< tensors of optimizer state a parameter
  int versions = 1;          ///< of the parameters: more than one where batches overlap (no flush)
};

/// Bytes of one replica of a stage, by what they are for.
struct MemoryBytes {
  std::uint64_t parameters = 0, gradients = 0, optimizer = 0, activations = 0, workspace = 0;
  std::uint64_t sum() const { return parameters + gradients + optimizer + activations + workspace; }
};

/// Where one layer's memory lies. Tensors live as long as their class of slots says (StageSlots); Tensor::images is set
/// for each call.
struct LayerMemory {
  int layer = 0;
  std::unique_ptr<Kernel> kernel;

  bool leaves = false;  ///< another stage reads its output
  /// leaves: one a slot of `outputs`; else one a slot of `activations`. Empty where not kept (recompute).
  std::vector<Tensor> outputs;
  /// Recompute only: written again before I, one a backward slot; the last one is F's, overwritten at once.
  std::vector<Tensor> recomputed_outputs;
  std::vector<std::span<std::byte>> saved;  ///< one a slot of `activations`; recompute: as recomputed_outputs
  /// [input][slot]. A gradient for another stage: one a slot of `gradients`; inside the stage: one a backward slot.
  /// Empty where nobody needs it.
  std::vector<std::vector<Tensor>> input_gradients;
  /// The network's output: the loss's gradient, one a slot of `activations`. Several consumers: the sum of what they
  /// sent, one a backward slot. Else empty: it is the consumer's input gradient.
  std::vector<Tensor> output_gradients;

  std::vector<ParameterView> parameters;             ///< the newest version
  std::vector<std::vector<ParameterView>> versions;  ///< [slot][parameter]; running statistics have one
  std::vector<ParameterView> gradients;              ///< of the batch; null data where not trained
  std::vector<std::vector<ParameterView>> staging;   ///< [place][parameter]: of one micro-batch
  std::vector<std::vector<ParameterView>> states;    ///< [parameter][state]
  std::vector<std::span<float>> statistics;          ///< one a micro-batch of the batch
};

/// All memory of one replica of a stage: one block of its device, cut once before the first micro-batch. Replicas but
/// the first have no parameters of their own on devices of one memory: they read the first's.
class StageMemory {
 public:
  /// Makes the kernels and measures; allocates nothing. Throws MissingError where a layer has no kernel for the device.
  StageMemory(const Network& network, int stage, int replica, const MemoryNeeds& needs, Device& device);

  /// Bytes that allocate() will ask for, workspace left out (the device's stages share one).
  const MemoryBytes& bytes() const { return bytes_; }
  std::size_t workspace_bytes() const { return bytes_.workspace; }
  /// Of `bytes().activations`: what one micro-batch takes from its F to its last action.
  std::uint64_t held_bytes() const;

  /// Asks the device for the block. Throws std::bad_alloc.
  void allocate();
  /// Reads the parameters of the stage's first replica. After allocate() of both.
  void share_parameters(const StageMemory& first);

  int stage() const { return stage_; }
  int replica() const { return replica_; }
  const MemoryNeeds& needs() const { return needs_; }
  Device& device() const { return *device_; }
  std::vector<LayerMemory>& layers() { return layers_; }
  const std::vector<LayerMemory>& layers() const { return layers_; }
  /// The memory of layer `number` of the network, which is one of this stage.
  LayerMemory& layer(int number);
  /// The network's input in this device's layout, one a slot of `activations`; empty where the stage does not read it.
  std::vector<Tensor>& network_inputs() { return network_inputs_; }

 private:
  class Cutter;
  void cut(Cutter& cutter);
  void cut_parameters(Cutter& cutter, LayerMemory& memory);
  void cut_activations(Cutter& cutter, LayerMemory& memory);
  void cut_gradients(Cutter& cutter, LayerMemory& memory);

  const Network* network_;
  int stage_, replica_;
  MemoryNeeds needs_;
  Device* device_;
  std::vector<LayerMemory> layers_;
  std::vector<Tensor> network_inputs_;
  MemoryBytes bytes_;
};

/// True where some trained parameter lies at or before this layer's output: its gradient is needed.
bool needs_output_gradient(const NetworkLayer& layer);

}  // namespace lenet_flow

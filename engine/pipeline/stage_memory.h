#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "devices/device.h"
#include "engine/graph/network.h"
#include "engine/schedule/schedule.h"

namespace lenet_flow {

/// What decides how much memory a stage needs.
struct MemoryNeeds {
  std::int64_t micro_batch = 1;  ///< images
  int micro_batches = 1;         ///< of a full batch
  int in_flight = 1;             ///< slots: micro-batch g of a pass uses slot g mod in_flight
  bool training = true;
  bool split_backward = false;  ///< I and W are actions of their own: gradients live between them
  int held_back = 0;            ///< gradients_held_back() of the stage
  int optimizer_states = 0;     ///< tensors of optimizer state a parameter
};

/// Bytes of one stage, by what they are for.
struct MemoryBytes {
  std::uint64_t parameters = 0, gradients = 0, optimizer = 0, activations = 0, workspace = 0;
  std::uint64_t sum() const { return parameters + gradients + optimizer + activations + workspace; }
};

/// Where one layer's tensors of one slot lie. Tensor::images is set for each call.
struct LayerSlot {
  std::vector<Tensor> inputs;  ///< wired to what the producers write
  Tensor output;
  std::span<std::byte> saved;
  Tensor output_gradient;  ///< one consumer: its input gradient; several: their sum; the last layer: the loss's
  std::vector<Tensor> gradient_parts;   ///< of several consumers, in file order
  std::vector<Tensor> input_gradients;  ///< null where nobody needs it
};

/// Where one layer's memory lies.
struct LayerMemory {
  int layer = 0;
  std::unique_ptr<Kernel> kernel;
  std::vector<LayerSlot> slots;
  std::vector<ParameterView> parameters;
  std::vector<ParameterView> gradients;             ///< of the batch; null data where not trained
  std::vector<std::vector<ParameterView>> staging;  ///< [place][parameter]: of one micro-batch
  std::vector<std::vector<ParameterView>> states;   ///< [parameter][state]
  std::vector<std::span<float>> statistics;         ///< one a micro-batch of the batch
};

/// All memory of one stage: one block of its device, cut once before the first micro-batch.
class StageMemory {
 public:
  /// Makes the kernels and measures; allocates nothing.
  StageMemory(const Network& network, int stage, const MemoryNeeds& needs, Device& device);

  /// Bytes that allocate() will ask for, workspace left out (the device's stages share one).
  const MemoryBytes& bytes() const { return bytes_; }
  std::size_t workspace_bytes() const { return bytes_.workspace; }

  /// Asks the device for the block. Throws std::bad_alloc.
  void allocate();
  /// Points every layer's inputs and output gradients to what the producers and consumers (also of other stages)
  /// write. After allocate() of all stages. Throws std::logic_error for a link whose ends cannot read each other.
  static void wire(const Network& network, std::span<StageMemory> stages);

  Device& device() const { return *device_; }
  std::vector<LayerMemory>& layers() { return layers_; }
  const std::vector<LayerMemory>& layers() const { return layers_; }
  /// The network's input in this device's layout, one a slot; empty where the stage does not read it.
  std::vector<Tensor>& network_inputs() { return network_inputs_; }

 private:
  class Cutter;
  void cut(Cutter& cutter);
  void cut_parameters(Cutter& cutter, LayerMemory& memory);
  void cut_activations(Cutter& cutter, LayerMemory& memory);

  const Network* network_;
  MemoryNeeds needs_;
  Device* device_;
  std::vector<LayerMemory> layers_;
  std::vector<Tensor> network_inputs_;
  MemoryBytes bytes_;
};

/// True where some trained parameter lies at or before this layer's output: its gradient is needed.
bool needs_output_gradient(const NetworkLayer& layer);

}  // namespace lenet_flow

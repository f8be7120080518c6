#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "devices/async_device.h"
#include "devices/device.h"
#include "engine/graph/network.h"
#include "engine/schedule/schedule.h"

namespace lenet_flow {

/// Where the replicas of all stages are, and how many slots their tensors have: what tells a stage which of its
/// neighbours' tensors lie in other memory.
struct StagePlacement {
  std::vector<std::vector<Device*>> devices;  ///< [stage][replica]
  std::vector<StageSlots> slots;              ///< one a stage
};

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
  /// On an asynchronous device: micro-batches whose images may have come, or whose actions may have been submitted,
  /// before those of the ones before them have ended.
  int ahead = 0;
};

/// Bytes of one replica of a stage, by what they are for.
struct MemoryBytes {
  std::uint64_t parameters = 0, gradients = 0, optimizer = 0, activations = 0, workspace = 0;
  std::uint64_t sum() const { return parameters + gradients + optimizer + activations + workspace; }
};

/// Where the memory of one layer lies, or of a chain of layers that one kernel does (layers/fusion.h): the input is the
/// first one's, the output the last one's, the parameters are those of all. Tensors live as long as their class of
/// slots says (StageSlots); Tensor::images is set for each call.
struct LayerMemory {
  std::vector<int> layers;                   ///< numbers of the network, in the order of execution
  std::vector<std::size_t> first_parameter;  ///< one a layer: where its parameters begin in those of all
  std::unique_ptr<Kernel> kernel;

  int first() const { return layers.front(); }
  int last() const { return layers.back(); }

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

/// Actions that an asynchronous device may have been given and not ended: enough that it never waits for the next one.
inline constexpr int most_submitted = 16;

/// A copy of the tensors that a replica of another stage writes into memory of its own.
struct Mirror {
  int layer = 0;              ///< whose output it is
  int input = -1;             ///< or, where >= 0, the gradient of whose input
  int replica = 0;            ///< of that layer's stage
  std::vector<Tensor> slots;  ///< as many as the original has
};

/// What the host and a stage on an asynchronous device tell each other about a micro-batch, in pinned memory that both
/// use as it is.
struct HostFacts {
  std::span<std::uint32_t> samples;   ///< to the device: MicroBatchFacts::samples
  std::span<std::int32_t> labels;     ///< to the device, where the loss is: LossCall::labels
  std::span<float> losses;            ///< from the loss
  std::span<std::int32_t> predicted;  ///< from the loss
  std::span<float> outputs;           ///< of the network, where asked for; in the device's layout
};

/// All memory of one replica of a stage: one block of its device, cut once before the first micro-batch. Replicas but
/// the first have no parameters of their own where they share the first's memory: they read the first's.
class StageMemory {
 public:
  /// Makes the kernels and measures; allocates nothing. Throws MissingError where a layer has no kernel for the device.
  StageMemory(const Network& network, int stage, int replica, const MemoryNeeds& needs,
              std::shared_ptr<const StagePlacement> placement);

  /// Bytes that allocate() will ask for, workspace left out (the device's stages share one).
  const MemoryBytes& bytes() const { return bytes_; }
  std::size_t workspace_bytes() const { return bytes_.workspace; }
  /// Of `bytes().activations`: what one micro-batch takes from its F to its last action.
  std::uint64_t held_bytes() const;

  /// Asks the device for the block. Throws InputError naming the stage where the device has not got that much.
  void allocate();
  /// Reads the parameters of the stage's first replica, where that has the same memory. After allocate() of both.
  void share_parameters(const StageMemory& first);
  /// The block; empty before allocate().
  std::span<std::byte> block() const { return block_; }

  int stage() const { return stage_; }
  int replica() const { return replica_; }
  const MemoryNeeds& needs() const { return needs_; }
  Device& device() const { return *device_; }
  const StagePlacement& placement() const { return *placement_; }
  std::shared_ptr<const StagePlacement> shared_placement() const { return placement_; }
  std::vector<LayerMemory>& layers() { return layers_; }
  const std::vector<LayerMemory>& layers() const { return layers_; }
  /// The memory of layer `number` of the network, which is one of this stage, or of the chain that it is in.
  LayerMemory& layer(int number);
  const LayerMemory& layer(int number) const { return const_cast<StageMemory&>(*this).layer(number); }
  /// The network's input in this device's layout, one a slot of `activations`; empty where the stage does not read it.
  std::vector<Tensor>& network_inputs() { return network_inputs_; }
  /// The copy of a layer's output (input < 0) or of a layer's input gradient, as that replica of its stage writes it;
  /// null where there is none, because it lies in memory of this device.
  const Mirror* mirror(int layer, int input, int replica) const;
  const std::vector<Mirror>& mirrors() const { return mirrors_; }
  /// One a slot; empty but on asynchronous devices. How many: a multiple of the slots of activations.
  const std::vector<HostFacts>& host_facts() const { return host_facts_; }
  /// All gradients of the batch, and all of one staging place, behind each other in the same order.
  std::span<float> gradients() const { return gradients_; }
  std::span<float> staging(std::size_t place) const { return staging_[place]; }
  /// Of the first replica: its copies of another one's staging places; none where it reads that one's memory.
  const std::vector<std::span<float>>& staging_mirror(int replica) const {
    return staging_mirrors_[static_cast<std::size_t>(replica)];
  }
  /// Whether it has parameters of its own.
  bool owns_parameters() const;
  /// All trained parameters and running statistics, in their only version.
  std::span<float> parameters() const { return parameters_; }

 private:
  class Cutter;
  void cut(Cutter& cutter);
  void cut_parameters(Cutter& cutter);
  void cut_sums(Cutter& cutter);
  void cut_mirrors(Cutter& cutter);
  void cut_host_facts();
  void make_kernels();
  const NetworkLayer& network_layer(int number) const { return network_->layers[static_cast<std::size_t>(number)]; }
  bool asynchronous() const { return device_->kind() != DeviceKind::cpu; }
  int host_slots() const;
  void cut_activations(Cutter& cutter, LayerMemory& memory);
  void cut_gradients(Cutter& cutter, LayerMemory& memory);

  const Network* network_;
  int stage_, replica_;
  MemoryNeeds needs_;
  std::shared_ptr<const StagePlacement> placement_;
  Device* device_;
  std::vector<LayerMemory> layers_;
  std::vector<Tensor> network_inputs_;
  std::vector<Mirror> mirrors_;
  std::vector<HostFacts> host_facts_;
  std::span<float> parameters_, gradients_;
  std::vector<std::span<float>> staging_;
  std::vector<std::vector<std::span<float>>> staging_mirrors_;  ///< [replica][place]
  std::span<std::byte> block_;
  MemoryBytes bytes_;
};

/// Of all layers of a chain, in their order.
std::vector<ParameterSpec> chain_parameters(const Network& network, const LayerMemory& memory);

/// True where some trained parameter lies at or before this layer's output: its gradient is needed.
bool needs_output_gradient(const NetworkLayer& layer);

}  // namespace lenet_flow

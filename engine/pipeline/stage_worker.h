#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/pipeline/micro_batch.h"
#include "engine/pipeline/stage_memory.h"
#include "engine/schedule/schedule.h"
#include "layers/optimizer.h"

namespace lenet_flow {

/// What the loss said of one micro-batch.
struct LossValues {
  double sum = 0;  ///< of the images' own losses, added in image order
  std::int64_t correct = 0;
  bool operator==(const LossValues&) const = default;
};

/// The memory of every replica of every stage: [stage][replica].
using StageMemories = std::vector<std::vector<StageMemory*>>;

/// Which version of the parameters a micro-batch's F reads; its I, W or B read the same.
enum class WeightVersions {
  flush,            ///< the newest; a stage enters a batch after the update of the one before
  stashing,         ///< the newest there is at its F (Narayanan et al., "PipeDream", SOSP 2019)
  double_buffered,  ///< that before the batch before (Narayanan et al., "PipeDream-2BW", ICML 2021)
};

/// What an action's recorded work depends on beside the stage: actions of one key put the same work on the device.
using RecordingKey = std::array<std::int64_t, 9>;

/// Runs the kernels of one replica of a stage: no threads, no order of its own. Calls for one replica never overlap in
/// time, and run on the host thread of its device. On an asynchronous device they put work on queue() and return. Which
/// memory slots a micro-batch uses follows from its place in the replica's sequence (ReplicaShare).
class StageWorker {
 public:
  /// `memories` are allocated; all refer to the same network. `seed` keys the layers' random numbers.
  StageWorker(const Network& network, int stage, int replica, const StageMemories& memories,
              std::span<std::byte> workspace, const Optimizer* optimizer, std::uint64_t seed);

  /// The stage's layers in execution order; positions count in it.
  int layers() const { return static_cast<int>(memory_.layers().size()); }
  /// Of a chain that one kernel does (LayerMemory) the last one; first_layer(): the first.
  const NetworkLayer& layer(int position) const;
  const NetworkLayer& first_layer(int position) const;
  /// "conv1", "conv1+relu1+pool1".
  const std::string& name(int position) const { return names_[static_cast<std::size_t>(position)]; }
  bool has_loss() const { return loss_position_ >= 0; }
  bool reads_network_input() const { return !memory_.network_inputs().empty(); }
  const ReplicaShare& share() const { return share_; }
  /// Whether I and B must be preceded by forward(..., again = true) of all layers.
  bool recomputes() const { return memory_.needs().recompute; }

  /// Where the images of a micro-batch lie, in this device's layout; of a stage that reads the network's input.
  const Tensor& pixels_place(const MicroBatch& micro_batch) const {
    const auto& slots = memory_.network_inputs();
    return slots[static_cast<std::size_t>(sequence(micro_batch)) % slots.size()];
  }
  /// Where the kernels' work is put: of this replica alone on an asynchronous device.
  WorkQueue& queue() const { return *queue_; }
  /// Copies the reader's pixels into this device's layout.
  void take_pixels(const MicroBatch& micro_batch);
  /// `again`: the same once more before I, in a stage that recomputes.
  void forward(int position, const MicroBatch& micro_batch, Mode mode, std::uint32_t epoch, bool again = false);
  /// Loss, predicted classes and, in training, the gradient of the network's output.
  void loss(const MicroBatch& micro_batch, Mode mode);
  /// What the loss said, once it is done. `predicted`: one an image.
  LossValues loss_values(const MicroBatch& micro_batch, std::span<std::int32_t> predicted) const;
  /// I of a layer: adds up what its consumers sent, then the gradients of its inputs.
  void input_gradients(int position, const MicroBatch& micro_batch, std::uint32_t epoch);
  /// Before W of the first layer: chooses the place of the micro-batch's gradients and what fold_gradients() will add.
  void begin_gradients(const MicroBatch& micro_batch);
  /// W of a layer, from zero into a place of its own.
  void parameter_gradients(int position, const MicroBatch& micro_batch, std::uint32_t epoch);
  /// After W of all layers: adds the micro-batch's gradients to the batch's as soon as its turn has come, with those
  /// that waited for it. Where the stage has several replicas update() does it.
  void fold_gradients();
  /// For a new pass. `kind`: of the whole run.
  void begin_pass(WeightVersions kind) {
    weight_versions_ = kind;
    pass_version_ = version_;
  }
  /// Before F of the first layer: fixes the version of the parameters that the micro-batch uses, and tells an
  /// asynchronous device of its images.
  void begin_forward(const MicroBatch& micro_batch, Mode mode);
  /// Of an action other than U that has begun (begin_forward(), begin_gradients()).
  RecordingKey recording_key(ActionKind kind, const MicroBatch& micro_batch, Mode mode, std::uint32_t epoch,
                             bool keep_outputs) const;
  /// The version (updates before it, in all passes) that a micro-batch uses.
  std::int64_t version_of(const MicroBatch& micro_batch) const {
    return versions_used_[static_cast<std::size_t>(sequence(micro_batch)) % versions_used_.size()];
  }
  /// Updates by how many updates their oldest gradient was behind: [0] is the number of updates that were not stale.
  const std::vector<std::int64_t>& staleness() const { return staleness_; }
  /// U: folds gradients (of several replicas) and statistics of the batch's micro-batches in their order, then updates
  /// every parameter. On replica 0 only.
  void update(int micro_batches, double learning_rate, std::uint64_t step);

  /// The output of a layer for a micro-batch in the standard layout, after its forward: layer(position).output_shape
  /// elements an image.
  void read_output(int position, const MicroBatch& micro_batch, std::span<float> values) const;
  /// On an asynchronous device: puts a copy of the network's output for the host on the queue; and what came of it,
  /// once that is done.
  void fetch_output(const MicroBatch& micro_batch);
  void fetched_output(const MicroBatch& micro_batch, std::span<float> values) const;
  /// The position of the network's output layer, or -1.
  int loss_position() const { return loss_position_; }

  StageMemory& memory() { return memory_; }
  const StageMemory& memory() const { return memory_; }

 private:
  /// A layer that another one reads, or that reads it: its memory in each replica of its stage.
  struct Neighbour {
    int stage = 0;
    std::vector<LayerMemory*> replicas;
    /// One a replica: the tensors of it that are read here, in this device's memory; outputs or gradients.
    std::vector<const std::vector<Tensor>*> slots;
  };
  /// Neighbours of the layer at one position, and room for the tensors of a call.
  struct LayerWiring {
    std::vector<Neighbour> producers;  ///< no replicas: the network's input
    std::vector<Neighbour> consumers;  ///< in the order of the file
    std::vector<Tensor> inputs, input_gradients;
  };
  enum class Phase { forward, backward };

  std::int64_t sequence(const MicroBatch& micro_batch) const {
    return share_.sequence(micro_batch.batch, micro_batch.index);
  }
  /// `input`: of a consumer, which of its inputs; -1: a producer.
  Neighbour neighbour(int number, int input) const;
  std::int64_t common_period() const;
  const HostFacts& host_facts(const MicroBatch& micro_batch) const {
    return facts_[static_cast<std::size_t>(sequence(micro_batch)) % facts_.size()];
  }
  std::span<const std::uint32_t> samples(const MicroBatch& micro_batch) const;
  Tensor own_output(const LayerMemory& memory, const MicroBatch& micro_batch, Phase phase) const;
  std::span<std::byte> own_saved(const LayerMemory& memory, const MicroBatch& micro_batch, Phase phase) const;
  Tensor input(const Neighbour& producer, const MicroBatch& micro_batch, Phase phase) const;
  Tensor input_gradient(const Neighbour& owner, const MicroBatch& micro_batch) const;
  Tensor output_gradient(int position, const MicroBatch& micro_batch) const;
  KernelCall call(int position, const MicroBatch& micro_batch, Mode mode, std::uint32_t epoch, Phase phase);
  std::size_t staging_place(int index);
  void plan_folds();
  const std::vector<ParameterView>& parameters_of(const LayerMemory& memory, const MicroBatch& micro_batch) const;
  void begin_version();
  void add_staged(std::span<const float> more, bool first);
  std::span<const float> staged(int replica, std::size_t place) const;
  void fold_statistics(LayerMemory& memory, int micro_batches);

  const Network& network_;
  const StageMemories& memories_;
  StageMemory& memory_;
  ReplicaShare share_;
  std::span<std::byte> workspace_;
  const Optimizer* optimizer_;
  std::uint64_t seed_;
  WorkQueue* queue_;
  std::span<const HostFacts> facts_;  ///< one a slot; empty but on asynchronous devices
  int loss_position_ = -1;
  std::int64_t period_ = 1;          ///< micro-batches so far apart have the same slots of everything
  std::vector<LayerWiring> wiring_;  ///< one a position
  std::vector<std::string> names_;   ///< likewise
  std::vector<bool> trained_;        ///< likewise: has trained parameters
  std::vector<float> losses_;
  std::vector<std::int32_t> predicted_;
  WeightVersions weight_versions_ = WeightVersions::flush;
  std::int64_t version_ = 0, pass_version_ = 0;  ///< newest; at the pass's begin
  std::int64_t oldest_used_ = -1;                ///< by the gradients of the batch that is being added up; -1: none yet
  std::vector<std::int64_t> versions_used_;      ///< one a slot of activations
  std::vector<std::int64_t> staleness_;
  int next_fold_ = 0;      ///< micro-batch of the batch whose gradients are added next
  std::vector<int> held_;  ///< one a staging place: the micro-batch in it, or -1
  struct Fold {
    std::size_t place = 0;
    bool first = false;
  };
  std::size_t place_ = 0;    ///< of the gradients that are computed now
  std::vector<Fold> folds_;  ///< what is added up after them
  std::vector<UpdateCall> updates_;
};

}  // namespace lenet_flow

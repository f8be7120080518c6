#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/pipeline/micro_batch.h"
#include "engine/pipeline/stage_memory.h"
#include "layers/optimizer.h"

namespace lenet_flow {

/// What the loss said of one micro-batch.
struct LossValues {
  double sum = 0;  ///< of the images' own losses, added in image order
  std::int64_t correct = 0;
};

/// Runs the kernels of one stage: no threads, no order of its own. Calls for one stage never overlap in time, and run
/// on the host thread of its device.
class StageWorker {
 public:
  /// `memory` is allocated and wired; `seed` keys the layers' random numbers.
  StageWorker(const Network& network, int stage, StageMemory& memory, std::span<std::byte> workspace,
              const Optimizer* optimizer, std::uint64_t seed);

  /// The stage's layers in execution order; positions count in it.
  int layers() const { return static_cast<int>(memory_.layers().size()); }
  const NetworkLayer& layer(int position) const;
  bool has_loss() const { return has_loss_; }
  bool reads_network_input() const { return !memory_.network_inputs().empty(); }

  /// Copies the reader's pixels into this device's layout.
  void take_pixels(const MicroBatch& micro_batch);
  void forward(int position, const MicroBatch& micro_batch, Mode mode, std::uint32_t epoch);
  /// Loss, predicted classes and, in training, the gradient of the network's output. `predicted`: one an image.
  LossValues loss(const MicroBatch& micro_batch, Mode mode, std::span<std::int32_t> predicted);
  /// I of a layer: adds up what its consumers sent, then the gradients of its inputs.
  void input_gradients(int position, const MicroBatch& micro_batch, std::uint32_t epoch);
  /// W of a layer, from zero into a place of its own.
  void parameter_gradients(int position, const MicroBatch& micro_batch, std::uint32_t epoch);
  /// After W of all layers: adds the micro-batch's gradients to the batch's as soon as its turn has come.
  void fold_gradients(const MicroBatch& micro_batch);
  /// U: folds the statistics of the batch's micro-batches, then updates every parameter.
  void update(int micro_batches, double learning_rate, std::uint64_t step);

  /// The output of a layer for a micro-batch in the standard layout: layer(position).output_shape elements an image.
  void read_output(int position, const MicroBatch& micro_batch, std::span<float> values) const;

  StageMemory& memory() { return memory_; }

 private:
  LayerSlot& slot(int position, const MicroBatch& micro_batch);
  KernelCall call(int position, const MicroBatch& micro_batch, Mode mode, std::uint32_t epoch);
  std::size_t staging_place(int index);

  const Network& network_;
  StageMemory& memory_;
  std::span<std::byte> workspace_;
  const Optimizer* optimizer_;
  std::uint64_t seed_;
  bool has_loss_ = false;
  std::vector<float> losses_;
  int next_fold_ = 0;      ///< micro-batch of the batch whose gradients are added next
  std::vector<int> held_;  ///< one a staging place: the micro-batch in it, or -1
};

}  // namespace lenet_flow

#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "devices/tensor.h"
#include "devices/work_queue.h"

namespace lenet_flow {

/// Whether a pass learns or only predicts: dropout and batch_norm differ.
enum class Mode { train, infer };

/// What a kernel may know about the micro-batch it works on, beyond its tensors.
struct MicroBatchFacts {
  Mode mode = Mode::train;
  std::uint64_t seed = 1;
  std::uint32_t epoch = 1;
  /// The number of each image in the data set: the key of its random numbers. One an image, in the device's memory.
  std::span<const std::uint32_t> samples;
};

/// Everything that a kernel reads and writes in one call. Which members are valid, and which are written:
///
/// | member              | forward | input_gradients (I) | parameter_gradients (W) | fold_statistics |
/// | ------------------- | ------- | ------------------- | ----------------------- | --------------- |
/// | inputs, parameters  | read    | read                | read                    | parameters: the running ones are
/// written | | output              | written | read                | read                    | -               | |
/// saved               | written | read                | read                    | -               | | statistics |
/// written | read                | read                    | read            | | output_gradient     | -       | read
/// | read                    | -               | | input_gradients     | -       | written             | - | - | |
/// parameter_gradients | -       | -                   | written, from zero      | -               |
///
/// A written tensor is written whole; what was in it before is of no account. All tensors of a call have the same
/// number of images. Tensors never overlap.
///
/// All memory that a call names is the device's. On a GPU a kernel puts its work on the queue and returns before it is
/// done; it neither waits nor allocates nor reads host memory, so that a call can be captured in a CUDA graph. A
/// captured call keeps its addresses and numbers: it can be played again for another micro-batch where that has the
/// same buffers (with other content, facts.samples too), images, mode and epoch.
struct KernelCall {
  WorkQueue* queue = nullptr;
  MicroBatchFacts facts;
  std::int64_t images = 0;
  std::span<const Tensor> inputs;
  Tensor output;
  /// All parameters of the layer, in the order of Layer::parameters().
  std::span<const ParameterView> parameters;
  /// What forward keeps for I and W of the same micro-batch: saved_bytes() bytes, aligned to 64.
  std::span<std::byte> saved;
  /// What forward says about the micro-batch for fold_statistics(): statistics_floats() floats.
  std::span<float> statistics;
  /// Scratch memory: workspace_bytes() bytes, aligned to 64; its content is lost between calls.
  std::span<std::byte> workspace;
  Tensor output_gradient;
  /// One an input; a null tensor where nobody asks for that gradient (the network's input).
  std::span<const Tensor> input_gradients;
  /// One a parameter, in the order of Layer::parameters(); null data for the running ones that are not trained.
  std::span<const ParameterView> parameter_gradients;

  CpuQueue& cpu() const { return static_cast<CpuQueue&>(*queue); }
};

/// A layer's code for one kind of device, made for the shapes of one network. It owns no tensor memory: the engine
/// plans that. Calls for different micro-batches of one kernel object never overlap in time.
///
/// Exactness (engine's rule, kept by every kernel): the bits of an element depend on the inputs alone, not on
/// addresses, on the place of an image in a vector or tile, on the number of cores or on the micro-batch's size.
class Kernel {
 public:
  virtual ~Kernel() = default;

  /// Scratch memory that a call with at most `images` images needs on a queue of `cores` cores (1 on a GPU).
  virtual std::size_t workspace_bytes(std::int64_t images, int cores) const {
    (void)images, (void)cores;
    return 0;
  }
  /// Memory that a micro-batch of at most `images` images keeps from forward to I and W, beside inputs and output.
  virtual std::size_t saved_bytes(std::int64_t images) const {
    (void)images;
    return 0;
  }
  /// Whether a call depends on facts.epoch.
  virtual bool draws_random_numbers() const { return false; }
  /// Floats that a micro-batch keeps from forward to the batch's update, for fold_statistics().
  virtual std::int64_t statistics_floats() const { return 0; }

  virtual void forward(const KernelCall& call) = 0;
  /// I: the gradient of each input from output_gradient.
  virtual void input_gradients(const KernelCall& call) = 0;
  /// W: this micro-batch's gradient of each trained parameter, from zero. Layers without parameters have none.
  virtual void parameter_gradients(const KernelCall& call) { (void)call; }
  /// Folds one micro-batch's statistics into the running parameters (batch_norm). Called once a micro-batch, in
  /// micro-batch order, as part of the stage's update.
  virtual void fold_statistics(const KernelCall& call) { (void)call; }
};

}  // namespace lenet_flow

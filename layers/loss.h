#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "devices/shape.h"
#include "devices/tensor.h"
#include "devices/work_queue.h"
#include "layers/attributes.h"

namespace lenet_flow {

/// What a loss reads and writes for one micro-batch, all of it in the device's memory. As for a KernelCall, a GPU
/// does it some time after run() returned, and a captured call keeps batch_images beside addresses and sizes.
struct LossCall {
  WorkQueue* queue = nullptr;
  Tensor output;                         ///< of the network (the logit where a sigmoid was folded in)
  std::span<const std::int32_t> labels;  ///< class number of each image, in [0, classes)
  std::int64_t batch_images = 0;         ///< images of the whole batch: losses are means over the batch
  Tensor output_gradient;                ///< d(mean loss of the batch) / d(output), written whole; null when inferring
  /// Written, one an image: the image's own loss (not divided by the batch) and its predicted class.
  std::span<float> losses;
  std::span<std::int32_t> predicted;

  CpuQueue& cpu() const { return static_cast<CpuQueue&>(*queue); }
};

/// A loss: what is trained to be small, and how an output reads as a class.
class Loss {
 public:
  virtual ~Loss() = default;
  /// Empty where a network with this output can learn `classes` classes with this loss, otherwise what would be right.
  virtual std::string mismatch(const Shape& output, std::int64_t classes) const = 0;
  /// Loss, gradient and predicted classes on a device of `kind`.
  virtual void run(DeviceKind kind, const LossCall& call) const = 0;
  /// Losses and gradients that are the same on a CPU and a GPU within this, as Layer::tolerance() has it.
  virtual double tolerance() const { return 1e-5; }
  /// One image's output -> a probability a class (for mean_squared_error: the outputs themselves). A single output p
  /// gives {1 - p, p}. `output` and `probabilities` are in the standard layout.
  virtual void probabilities(std::span<const float> output, std::span<float> probabilities) const = 0;
};

/// A type of loss, as registered.
struct LossType {
  std::string name;
  std::string help;
  std::vector<AttributeSpec> attributes;
  std::function<std::unique_ptr<Loss>(const Attributes&)> make;
};

}  // namespace lenet_flow

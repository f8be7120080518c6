#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "devices/tensor.h"
#include "devices/work_queue.h"
#include "layers/attributes.h"

namespace lenet_flow {

/// One parameter's update. A GPU gets what changes from step to step (learning_rate and what follows from `step`) as
/// arguments of its launch: an update is not for a CUDA graph, unless the graph's node gets new ones before each step.
struct UpdateCall {
  WorkQueue* queue = nullptr;
  double learning_rate = 0;  ///< of this step, from the learning-rate schedule
  std::uint64_t step = 1;    ///< the number of this update, from 1
  ParameterView parameter;
  ParameterView gradient;                 ///< of the batch's mean loss
  std::span<const ParameterView> states;  ///< in the order of state_names(), zero before the first step

  CpuQueue& cpu() const { return static_cast<CpuQueue&>(*queue); }
};

/// U: turns a batch's gradients into new parameters.
class Optimizer {
 public:
  virtual ~Optimizer() = default;
  /// The state tensors that each trained parameter has, named as in files after '#' ("momentum").
  virtual std::vector<std::string> state_names() const = 0;
  virtual double learning_rate() const = 0;
  /// Floating-point operations an element.
  virtual double flops() const = 0;
  /// The step of several parameters, with one queue, learning rate and step number for all: a GPU does them in one
  /// launch. Elementwise: the bits of an element depend on that element's numbers alone.
  virtual void update_all(DeviceKind kind, std::span<const UpdateCall> calls) const = 0;
  /// The step of one parameter.
  void update(DeviceKind kind, const UpdateCall& call) const { update_all(kind, {&call, 1}); }
};

/// A type of optimizer, as registered.
struct OptimizerType {
  std::string name;
  std::string help;
  std::vector<AttributeSpec> attributes;
  std::function<std::unique_ptr<Optimizer>(const Attributes&)> make;
};

}  // namespace lenet_flow

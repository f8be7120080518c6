#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>

#include "engine/training/trainer.h"

namespace lenet_flow::test {

/// How a layer's kernels are to be wrong.
struct Fault {
  enum class Tensor { output, input_gradient, parameter_gradient };
  Tensor tensor = Tensor::output;
  float by = 0;  ///< added to every element
  /// In which calls. `kernel` counts the layer's kernels in the order in which they are made, from 0.
  std::function<bool(int kernel, const KernelCall& call)> when;
};

class WrongKernel final : public Kernel {
 public:
  WrongKernel(std::unique_ptr<Kernel> right, const Fault& fault, int number)
      : right_(std::move(right)), fault_(fault), number_(number) {}

  std::size_t workspace_bytes(std::int64_t images, int cores) const override {
    return right_->workspace_bytes(images, cores);
  }
  std::size_t saved_bytes(std::int64_t images) const override { return right_->saved_bytes(images); }
  std::int64_t statistics_floats() const override { return right_->statistics_floats(); }
  void forward(const KernelCall& call) override {
    right_->forward(call);
    spoil(Fault::Tensor::output, call, call.output.data, call.output.elements());
  }
  void input_gradients(const KernelCall& call) override {
    right_->input_gradients(call);
    const Tensor& gradient = call.input_gradients[0];
    spoil(Fault::Tensor::input_gradient, call, gradient.data, gradient.elements());
  }
  void parameter_gradients(const KernelCall& call) override {
    right_->parameter_gradients(call);
    const ParameterView& gradient = call.parameter_gradients[0];
    spoil(Fault::Tensor::parameter_gradient, call, gradient.data, gradient.elements);
  }
  void fold_statistics(const KernelCall& call) override { right_->fold_statistics(call); }

 private:
  void spoil(Fault::Tensor tensor, const KernelCall& call, float* data, std::int64_t elements) const {
    if (tensor != fault_.tensor || !fault_.when(number_, call)) return;
    for (std::int64_t i = 0; i < elements; ++i) data[i] += fault_.by;
  }

  std::unique_ptr<Kernel> right_;
  Fault fault_;
  int number_;
};

/// A layer that is right in all but its kernels.
class WrongLayer final : public Layer {
 public:
  WrongLayer(std::unique_ptr<Layer> right, Fault fault) : right_(std::move(right)), fault_(std::move(fault)) {}

  Shape output_shape(std::span<const Shape> inputs) const override { return right_->output_shape(inputs); }
  std::vector<ParameterSpec> parameters(std::span<const Shape> inputs) const override {
    return right_->parameters(inputs);
  }
  Flops flops(std::span<const Shape> inputs) const override { return right_->flops(inputs); }
  double tolerance() const override { return right_->tolerance(); }
  std::unique_ptr<Kernel> make_kernel(DeviceKind kind, std::string_view name, std::span<const Shape> inputs,
                                      const Shape& output) const override {
    return std::make_unique<WrongKernel>(right_->make_kernel(kind, name, inputs, output), fault_, kernels_++);
  }

 private:
  std::unique_ptr<Layer> right_;
  Fault fault_;
  mutable std::atomic<int> kernels_{0};
};

/// Makes one layer of the network of every command on `options` wrong, in place of what was wrong before.
inline void make_wrong(RunOptions& options, const std::string& layer, const Fault& fault) {
  options.on_network = [layer, fault](Network& network) {
    for (NetworkLayer& candidate : network.layers)
      if (candidate.name == layer) candidate.layer = std::make_unique<WrongLayer>(std::move(candidate.layer), fault);
  };
}

}  // namespace lenet_flow::test

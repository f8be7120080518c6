#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "devices/shape.h"
#include "layers/attributes.h"
#include "layers/fusion_part.h"
#include "layers/kernel.h"

namespace lenet_flow {

/// How a parameter's first values are drawn (layers/initializers.h).
enum class Initializer {
  zeros,
  ones,
  pytorch_uniform,  ///< U(-1/sqrt(fan_in), 1/sqrt(fan_in)): what PyTorch's Conv2d and Linear do; our default
  he_normal,        ///< N(0, 2 / fan_in); He et al., ICCV 2015
  he_uniform,       ///< U(+-sqrt(6 / fan_in))
  glorot_normal,    ///< N(0, 2 / (fan_in + fan_out)); Glorot and Bengio, AISTATS 2010
  glorot_uniform,   ///< U(+-sqrt(6 / (fan_in + fan_out)))
  lecun_normal,     ///< N(0, 1 / fan_in); LeCun et al., "Efficient BackProp", 1998
  lecun_uniform,    ///< U(+-sqrt(3 / fan_in))
};

/// One parameter of a layer. Its full name in files is LAYER.name ("conv1.weight").
struct ParameterSpec {
  std::string name;
  std::vector<std::int64_t> shape;  ///< standard shape: [out, in, height, width], [out, in], [n]
  bool trained = true;              ///< false: running statistics, folded and not descended
  Initializer initializer = Initializer::zeros;
  std::int64_t fan_in = 1, fan_out = 1;

  std::int64_t elements() const {
    std::int64_t product = 1;
    for (const std::int64_t extent : shape) product *= extent;
    return product;
  }
};

/// Floating-point operations of a layer for one image (a multiply-add counts two), by action.
struct Flops {
  double forward = 0;              ///< F
  double input_gradients = 0;      ///< I
  double parameter_gradients = 0;  ///< W
};

/// Thrown by Layer::output_shape where the inputs do not fit; the message says which numbers and what would fit.
/// The engine adds the layer's name and where each input shape came from.
class ShapeError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// One node of the network: type, attributes, parameters, shapes. Pure mathematics: no memory, no threads.
class Layer {
 public:
  virtual ~Layer() = default;

  /// The shape of one image's output. Throws ShapeError.
  virtual Shape output_shape(std::span<const Shape> inputs) const = 0;
  /// In the order of files and of KernelCall::parameters. `inputs` have passed output_shape().
  virtual std::vector<ParameterSpec> parameters(std::span<const Shape> inputs) const {
    (void)inputs;
    return {};
  }
  virtual Flops flops(std::span<const Shape> inputs) const = 0;

  /// True where this layer, standing right before a loss of type `loss`, leaves its mathematics to the loss (a
  /// sigmoid before binary_cross_entropy). It then passes its input through unchanged.
  virtual bool fold_into_loss(std::string_view loss) {
    (void)loss;
    return false;
  }
  /// Numbers that are the same for a CPU and a GPU kernel within: |a - b| <= tolerance * (1 + max |b| of the tensor).
  virtual double tolerance() const { return 1e-5; }

  /// What this layer is, for a kernel that does several layers at once (layers/fusion.h); shapes as for make_kernel().
  virtual FusionPart fusion_part(const Shape& input, const Shape& output) const {
    (void)input, (void)output;
    return {};
  }

  /// The layer's code for `kind`; null where there is none. `name` is the layer's name in the graph file (the key of
  /// its random numbers). Shapes have passed output_shape().
  virtual std::unique_ptr<Kernel> make_kernel(DeviceKind kind, std::string_view name, std::span<const Shape> inputs,
                                              const Shape& output) const = 0;
};

/// A type of layer, as registered: what a graph file may write and how to make one.
struct LayerType {
  std::string name;  ///< "conv2d"
  std::string help;  ///< one line
  std::vector<AttributeSpec> attributes;
  int minimum_inputs = 1;
  int maximum_inputs = 1;
  std::function<std::unique_ptr<Layer>(const Attributes&)> make;
};

}  // namespace lenet_flow

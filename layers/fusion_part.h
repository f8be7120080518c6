#pragma once

#include <cstdint>
#include <variant>

#include "layers/conv2d/conv2d.h"
#include "layers/window.h"

namespace lenet_flow {

/// An elementwise layer whose gradient follows from its output: a negative slope has no such.
struct ActivationPart {
  enum class Kind { identity, relu, leaky_relu, tanh, sigmoid };
  Kind kind = Kind::identity;
  float slope = 0;  ///< of leaky_relu, >= 0
};

struct PoolPart {
  enum class Kind { none, maximum, average };
  Kind kind = Kind::none;
  Window window;
};

struct DensePart {
  std::int64_t inputs = 0, outputs = 0;
  bool bias = true;
};

/// The elements stay where they are in the standard layout, only their shape is another.
struct ReshapePart {};

/// What a layer is, for those who would compute it together with its neighbours; std::monostate: nothing that they
/// know.
using FusionPart = std::variant<std::monostate, Convolution, DensePart, ActivationPart, PoolPart, ReshapePart>;

}  // namespace lenet_flow

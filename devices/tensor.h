#pragma once

#include <cstdint>

#include "devices/shape.h"

namespace lenet_flow {

/// A view of a micro-batch's activations (or gradients) in the memory of one device. It owns nothing.
/// How the elements lie in memory is the business of the device kind: only kernels of that kind and the
/// device's own read_activation/write_activation may look at `data`.
struct Tensor {
  float* data = nullptr;  ///< null: nobody asked for this tensor
  Shape shape;            ///< of one image
  std::int64_t images = 0;

  explicit operator bool() const { return data != nullptr; }
  /// Elements of all images, without any padding that the layout adds.
  std::int64_t elements() const { return images * shape.elements(); }
};

/// A view of one parameter (weights, biases, running statistics, their gradients, optimizer state) in the memory
/// of one device: always row-major in its standard shape ([out, in, height, width] or [out, in]) on every kind.
struct ParameterView {
  float* data = nullptr;
  std::int64_t elements = 0;
};

}  // namespace lenet_flow

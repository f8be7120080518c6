#pragma once

#include "layers/fusion_part.h"

namespace lenet_flow {

/// Compares so that NaN goes through. The gradient at zero is zero.
struct ReluFunction {
  __device__ float output(float x) const { return x <= 0 ? 0.0f : x; }
  __device__ float gradient(float, float y, float dy) const { return y <= 0 ? 0.0f : dy; }
};

/// The gradient at zero is the slope.
struct LeakyReluFunction {
  float slope;

  __device__ float output(float x) const { return x > 0 ? x : x * slope; }
  __device__ float gradient(float x, float, float dy) const { return x > 0 ? dy : dy * slope; }
};

/// y = tanh x, dy/dx = 1 - y^2.
struct TanhFunction {
  __device__ float output(float x) const { return tanhf(x); }
  __device__ float gradient(float, float y, float dy) const { return dy * (1.0f - y * y); }
};

/// y = 1 / (1 + e^-x), dy/dx = y (1 - y).
struct SigmoidFunction {
  __device__ float output(float x) const { return 1.0f / (1.0f + expf(-x)); }
  __device__ float gradient(float, float y, float dy) const { return dy * (y * (1.0f - y)); }
};

/// Any of them, chosen when it runs. The gradient takes the output alone: a leaky_relu's slope is not negative, so its
/// output is above zero exactly where its input is.
struct ActivationFunction {
  ActivationPart part;

  __device__ float output(float x) const {
    switch (part.kind) {
      case ActivationPart::Kind::identity: return x;
      case ActivationPart::Kind::relu: return ReluFunction{}.output(x);
      case ActivationPart::Kind::leaky_relu: return LeakyReluFunction{part.slope}.output(x);
      case ActivationPart::Kind::tanh: return TanhFunction{}.output(x);
      case ActivationPart::Kind::sigmoid: return SigmoidFunction{}.output(x);
    }
    return x;
  }
  __device__ float gradient(float y, float dy) const {
    switch (part.kind) {
      case ActivationPart::Kind::identity: return dy;
      case ActivationPart::Kind::relu: return ReluFunction{}.gradient(y, y, dy);
      case ActivationPart::Kind::leaky_relu: return LeakyReluFunction{part.slope}.gradient(y, y, dy);
      case ActivationPart::Kind::tanh: return TanhFunction{}.gradient(y, y, dy);
      case ActivationPart::Kind::sigmoid: return SigmoidFunction{}.gradient(y, y, dy);
    }
    return dy;
  }
};

}  // namespace lenet_flow

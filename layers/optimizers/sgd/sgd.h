#pragma once

#include <span>

#include "devices/cuda_code.h"
#include "devices/host_device.h"
#include "layers/optimizer.h"

namespace lenet_flow {

/// Stochastic gradient descent as torch.optim.SGD (dampening 0), for one element w with gradient g:
///   g += weight_decay w;  v = momentum v + g;  w -= learning_rate (nesterov ? g + momentum v : v)
/// v starts at zero, so the first v is g. Without momentum there is no v: w -= learning_rate g.
/// The same code on every kind of device.
struct SgdRule {
  float learning_rate, momentum, weight_decay;
  bool nesterov;

  LENET_FLOW_HOST_DEVICE void step(float& w, float gradient) const { w -= learning_rate * decayed(w, gradient); }
  LENET_FLOW_HOST_DEVICE void step(float& w, float gradient, float& v) const {
    const float g = decayed(w, gradient);
    v = momentum * v + g;
    w -= learning_rate * (nesterov ? g + momentum * v : v);
  }

 private:
  LENET_FLOW_HOST_DEVICE float decayed(float w, float g) const { return weight_decay != 0 ? g + weight_decay * w : g; }
};

LENET_FLOW_CUDA_CODE void update_sgd_cuda(std::span<const UpdateCall> calls, const SgdRule& rule);

}  // namespace lenet_flow

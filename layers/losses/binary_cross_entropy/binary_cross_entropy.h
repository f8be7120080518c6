#pragma once

#include <cmath>

#include "devices/cuda_code.h"
#include "layers/losses/rows.h"

namespace lenet_flow {

/// 1 / (1 + e^-x).
LENET_FLOW_HOST_DEVICE inline double logistic(double x) { return 1.0 / (1.0 + std::exp(-x)); }

/// For a logit z and p = 1 / (1 + e^-z): -log p for class 1 and -log(1 - p) for class 0, which are softplus(-z) and
/// softplus(z) (PyTorch's BCEWithLogitsLoss). d/dz = p - label. In double precision. Class 1 is predicted where
/// p >= 0.5, that is z >= 0.
struct BinaryCrossEntropyRule {
  double batch;  ///< images

  LENET_FLOW_HOST_DEVICE double operator()(const LossRow& row, std::int32_t& predicted) const {
    const double z = row.output[0];
    predicted = z >= 0 ? 1 : 0;
    const bool second = row.label == 1;
    if (!row.gradient.empty()) row.gradient[0] = static_cast<float>((second ? -logistic(-z) : logistic(z)) / batch);
    return softplus(second ? -z : z);
  }

 private:
  /// log(1 + e^x), without overflow.
  LENET_FLOW_HOST_DEVICE static double softplus(double x) {
    return (x < 0 ? 0.0 : x) + std::log1p(std::exp(-std::abs(x)));
  }
};

LENET_FLOW_CUDA_CODE void run_binary_cross_entropy_cuda(const LossCall& call, const BinaryCrossEntropyRule& rule);

}  // namespace lenet_flow

#pragma once

#include <cmath>

#include "devices/cuda_code.h"
#include "layers/losses/rows.h"

namespace lenet_flow {

/// What makes probabilities of logits: the largest one, and the sum of e^(z - largest) over the others, apart from the
/// largest's own 1, so that the loss of a sure and right answer keeps its digits. NaN passes by the largest but not by
/// the sum.
struct SoftmaxNormalizer {
  LENET_FLOW_HOST_DEVICE explicit SoftmaxNormalizer(std::span<const float> logits)
      : largest_class(first_largest(logits)), largest(logits[static_cast<std::size_t>(largest_class)]) {
    for (std::size_t c = 0; c < logits.size(); ++c)
      if (c != static_cast<std::size_t>(largest_class)) others += std::exp(logits[c] - largest);
  }
  LENET_FLOW_HOST_DEVICE double probability(double z) const { return std::exp(z - largest) / (1.0 + others); }
  LENET_FLOW_HOST_DEVICE double minus_log(double z) const { return std::log1p(others) + (largest - z); }

  std::int32_t largest_class;
  double largest, others = 0.0;
};

/// For logits z of K classes and p = softmax z: -sum_c t_c log p_c, with the target t_c = s / K, and 1 - s more at the
/// label (s: label_smoothing; Szegedy et al., CVPR 2016), as PyTorch's CrossEntropyLoss has it. d/dz = p - t.
/// In double precision, with sums in the order of the classes.
struct SoftmaxCrossEntropyRule {
  double smoothing, batch;  ///< batch: images

  LENET_FLOW_HOST_DEVICE double operator()(const LossRow& row, std::int32_t& predicted) const {
    const SoftmaxNormalizer by(row.output);
    predicted = by.largest_class;
    const double spread = smoothing / static_cast<double>(row.output.size());
    for (std::size_t c = 0; c < row.gradient.size(); ++c) {
      const double target = spread + (c == static_cast<std::size_t>(row.label) ? 1.0 - smoothing : 0.0);
      row.gradient[c] = static_cast<float>((by.probability(row.output[c]) - target) / batch);
    }
    double loss = (1.0 - smoothing) * by.minus_log(row.output[static_cast<std::size_t>(row.label)]);
    if (smoothing > 0)
      for (const float z : row.output) loss += spread * by.minus_log(z);
    return loss;
  }
};

LENET_FLOW_CUDA_CODE void run_softmax_cross_entropy_cuda(const LossCall& call, const SoftmaxCrossEntropyRule& rule);

}  // namespace lenet_flow

#pragma once

#include "devices/cuda_code.h"
#include "layers/losses/rows.h"

namespace lenet_flow {

/// For K outputs y and the target t, 1 at the label and 0 elsewhere: (1/K) sum (y - t)^2, so that the batch's loss is
/// the mean over images and outputs (PyTorch's MSELoss). d/dy = 2 (y - t) / K. One output is enough for two classes:
/// its target is the label. In double precision, the sum in the order of the outputs.
struct MeanSquaredErrorRule {
  double batch;  ///< images

  LENET_FLOW_HOST_DEVICE double operator()(const LossRow& row, std::int32_t& predicted) const {
    const bool one = row.output.size() == 1;
    predicted = one ? (row.output[0] >= 0.5f ? 1 : 0) : first_largest(row.output);
    const auto outputs = static_cast<double>(row.output.size());
    double sum = 0;
    for (std::size_t k = 0; k < row.output.size(); ++k) {
      const double target = one ? row.label : (k == static_cast<std::size_t>(row.label) ? 1.0 : 0.0);
      const double difference = row.output[k] - target;
      sum += difference * difference;
      if (!row.gradient.empty()) row.gradient[k] = static_cast<float>(2.0 * difference / (outputs * batch));
    }
    return sum / outputs;
  }
};

LENET_FLOW_CUDA_CODE void run_mean_squared_error_cuda(const LossCall& call, const MeanSquaredErrorRule& rule);

}  // namespace lenet_flow

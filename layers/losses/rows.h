#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

#include "devices/host_device.h"
#include "layers/loss.h"

namespace lenet_flow {

/// One image of a LossCall, in the standard layout.
struct LossRow {
  std::span<const float> output;
  std::int32_t label;
  std::span<float> gradient;  ///< empty when inferring
};

/// Where the largest value is, the first of them if several are; 0 if all are NaN.
LENET_FLOW_HOST_DEVICE inline std::int32_t first_largest(std::span<const float> values) {
  std::size_t best = 0;
  for (std::size_t i = 1; i < values.size(); ++i)
    if (values[i] > values[best] || (values[best] != values[best] && values[i] == values[i])) best = i;
  return static_cast<std::int32_t>(best);
}

/// Image `i` of a call.
LENET_FLOW_HOST_DEVICE inline LossRow loss_row(const float* outputs, const std::int32_t* labels, float* gradients,
                                               std::int64_t elements, std::int64_t image) {
  const auto size = static_cast<std::size_t>(elements);
  return {{outputs + image * elements, size},
          labels[image],
          gradients ? std::span<float>(gradients + image * elements, size) : std::span<float>()};
}

/// The CPU code of a loss: for every image `rule`, a function object
///   double operator()(const LossRow& row, std::int32_t& predicted) const
/// that writes row.gradient and predicted and returns the image's loss; GPUs run the same one (rows.cuh). An image is
/// one core's work, whatever the number of cores.
template <typename Rule>
void run_rows(const LossCall& call, const Rule& rule) {
  const std::int64_t elements = call.output.shape.elements();
  const std::int64_t grain = std::max<std::int64_t>(1, 2048 / elements);
  call.cpu().parallel_for(call.output.images, grain, [&](std::int64_t begin, std::int64_t end, int) {
    for (std::int64_t image = begin; image < end; ++image) {
      const auto i = static_cast<std::size_t>(image);
      const LossRow row = loss_row(call.output.data, call.labels.data(), call.output_gradient.data, elements, image);
      call.losses[i] = static_cast<float>(rule(row, call.predicted[i]));
    }
  });
}

}  // namespace lenet_flow

#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>

#include "layers/loss.h"

namespace lenet_flow {

/// One image of a LossCall, in the standard layout.
struct LossRow {
  std::span<const float> output;
  std::int32_t label;
  std::span<float> gradient;  ///< empty when inferring
};

/// Where the largest value is, the first of them if several are; 0 if all are NaN.
inline std::int32_t first_largest(std::span<const float> values) {
  std::size_t best = 0;
  for (std::size_t i = 1; i < values.size(); ++i)
    if (values[i] > values[best] || (values[best] != values[best] && values[i] == values[i])) best = i;
  return static_cast<std::int32_t>(best);
}

/// The CPU code of a loss: calls body(LossRow, predicted) for every image, which writes row.gradient and predicted
/// and returns the image's loss. An image is one body's work, whatever the number of cores. Throws std::logic_error
/// for a `kind` that the loss has no code for.
template <typename Body>
void for_each_row(DeviceKind kind, const LossCall& call, const char* loss, Body&& body) {
  if (kind != DeviceKind::cpu) throw std::logic_error(std::string(loss) + " has no code for this kind of device");
  const std::int64_t elements = call.output.shape.elements();
  const std::int64_t grain = std::max<std::int64_t>(1, 2048 / elements);
  call.cpu().parallel_for(call.output.images, grain, [&](std::int64_t begin, std::int64_t end, int) {
    for (std::int64_t image = begin; image < end; ++image) {
      const auto i = static_cast<std::size_t>(image), size = static_cast<std::size_t>(elements);
      LossRow row{{call.output.data + image * elements, size}, call.labels[i], {}};
      if (call.output_gradient) row.gradient = {call.output_gradient.data + image * elements, size};
      call.losses[i] = static_cast<float>(body(row, call.predicted[i]));
    }
  });
}

}  // namespace lenet_flow

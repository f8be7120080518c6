#include <cmath>

#include "tests/layers/reference/reference.h"

namespace lenet_flow::test {
namespace {

/// Over the channels, at every place of the image.
Values forward(const ReferenceCall& call) {
  const Values& x = call.inputs[0];
  Values y(x.shape, x.images);
  for_each_element(x, [&](std::int64_t image, std::int64_t channel, std::int64_t row, std::int64_t column) {
    double sum = 0;
    for (std::int64_t other = 0; other < x.shape.channels; ++other)
      sum += std::exp(x.at(image, other, row, column) - x.at(image, channel, row, column));
    y.at(image, channel, row, column) = 1.0 / sum;
  });
  return y;
}

const RegisterReference registered("softmax", {forward, false, {{{}, {{10, 1, 1}}, 5}, {{}, {{3, 4, 5}}, 2}}});

}  // namespace
}  // namespace lenet_flow::test

#include <cmath>

#include "tests/layers/reference/reference.h"

namespace lenet_flow::test {
namespace {

Values forward(const ReferenceCall& call) {
  const Values& x = call.inputs[0];
  const auto channels = static_cast<std::size_t>(x.shape.channels);
  std::vector<double> mean(channels), variance(channels);
  if (call.facts.mode == Mode::train) {
    const double count = static_cast<double>(x.images * x.shape.height * x.shape.width);
    for_each_element(x, [&](std::int64_t image, std::int64_t channel, std::int64_t row, std::int64_t column) {
      mean[static_cast<std::size_t>(channel)] += x.at(image, channel, row, column) / count;
    });
    for_each_element(x, [&](std::int64_t image, std::int64_t channel, std::int64_t row, std::int64_t column) {
      const auto c = static_cast<std::size_t>(channel);
      variance[c] += std::pow(x.at(image, channel, row, column) - mean[c], 2) / count;
    });
  } else {
    mean = call.parameters[2];
    variance = call.parameters[3];
  }
  Values y(x.shape, x.images);
  for_each_element(x, [&](std::int64_t image, std::int64_t channel, std::int64_t row, std::int64_t column) {
    const auto c = static_cast<std::size_t>(channel);
    y.at(image, channel, row, column) = (x.at(image, channel, row, column) - mean[c]) /
                                            std::sqrt(variance[c] + call.attributes.number("eps")) *
                                            call.parameters[0][c] +
                                        call.parameters[1][c];
  });
  return y;
}

const RegisterReference registered("batch_norm", {forward, true, {{{}, {{3, 9, 7}}, 6}, {{}, {{40, 1, 1}}, 13}}});

}  // namespace
}  // namespace lenet_flow::test

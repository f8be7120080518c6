#include "tests/layers/reference/reference.h"

namespace lenet_flow::test {
namespace {

Values forward(const ReferenceCall& call) {
  Shape shape = call.inputs[0].shape;
  shape.channels = 0;
  for (const Values& x : call.inputs) shape.channels += x.shape.channels;
  Values y(shape, call.inputs[0].images);
  std::int64_t before = 0;
  for (const Values& x : call.inputs) {
    for_each_element(x, [&](std::int64_t image, std::int64_t channel, std::int64_t row, std::int64_t column) {
      y.at(image, before + channel, row, column) = x.at(image, channel, row, column);
    });
    before += x.shape.channels;
  }
  return y;
}

const RegisterReference registered("concat", {forward, false, {{{}, {{2, 3, 5}, {1, 3, 5}, {4, 3, 5}}, 3}}});

}  // namespace
}  // namespace lenet_flow::test

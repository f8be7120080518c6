#include "tests/layers/reference/reference.h"

namespace lenet_flow::test {
namespace {

Values forward(const ReferenceCall& call) {
  const Values& x = call.inputs[0];
  Values y({x.shape.elements(), 1, 1}, x.images);
  for_each_element(x, [&](std::int64_t image, std::int64_t channel, std::int64_t row, std::int64_t column) {
    y.at(image, (channel * x.shape.height + row) * x.shape.width + column, 0, 0) = x.at(image, channel, row, column);
  });
  return y;
}

const RegisterReference registered("flatten", {forward});

}  // namespace
}  // namespace lenet_flow::test

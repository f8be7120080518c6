#include "tests/layers/reference/reference.h"

namespace lenet_flow::test {
namespace {

Values forward(const ReferenceCall& call) {
  const double slope = call.attributes.number("slope");
  return elementwise(call.inputs[0], [slope](double x) { return x > 0 ? x : slope * x; });
}

const RegisterReference registered("leaky_relu", {forward, false, {{{{"slope", 0.2}}, {{3, 9, 11}}, 3}}});

}  // namespace
}  // namespace lenet_flow::test

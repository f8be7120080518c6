#include <cmath>

#include "tests/layers/reference/reference.h"

namespace lenet_flow::test {
namespace {

Values forward(const ReferenceCall& call) {
  return elementwise(call.inputs[0], [](double x) { return 1.0 / (1.0 + std::exp(-x)); });
}

const RegisterReference registered("sigmoid", {forward, false, {{{}, {{3, 9, 11}}, 3}}});

}  // namespace
}  // namespace lenet_flow::test

#include <cmath>

#include "tests/layers/reference/reference.h"

namespace lenet_flow::test {
namespace {

/// The exact form, PyTorch's default.
Values forward(const ReferenceCall& call) {
  return elementwise(call.inputs[0], [](double x) { return x * 0.5 * (1.0 + std::erf(x / std::sqrt(2.0))); });
}

const RegisterReference registered("gelu", {forward, false, {{{}, {{3, 9, 11}}, 3}}});

}  // namespace
}  // namespace lenet_flow::test

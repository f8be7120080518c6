#include "tests/layers/reference/reference.h"

namespace lenet_flow::test {
namespace {

Values forward(const ReferenceCall& call) {
  return elementwise(call.inputs[0], [](double x) { return x > 0 ? x : 0.0; });
}

const RegisterReference registered("relu", {forward, false, {{{}, {{3, 9, 11}}, 3}}});

}  // namespace
}  // namespace lenet_flow::test

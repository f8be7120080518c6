#include "tests/layers/reference/reference.h"

namespace lenet_flow::test {
namespace {

Values forward(const ReferenceCall& call) {
  Values y(call.inputs[0].shape, call.inputs[0].images);
  for (const Values& x : call.inputs)
    for (std::size_t i = 0; i < y.data.size(); ++i) y.data[i] += x.data[i];
  return y;
}

const RegisterReference registered("add", {forward, false, {{{}, {{2, 3, 5}, {2, 3, 5}, {2, 3, 5}, {2, 3, 5}}, 3}}});

}  // namespace
}  // namespace lenet_flow::test

#include "devices/random.h"
#include "tests/layers/reference/reference.h"

namespace lenet_flow::test {
namespace {

Values forward(const ReferenceCall& call) {
  Values y = call.inputs[0];
  if (call.facts.mode == Mode::infer) return y;
  const double p = call.attributes.number("p");
  const auto elements = static_cast<std::size_t>(y.shape.elements());
  for (std::size_t image = 0; image < static_cast<std::size_t>(y.images); ++image) {
    const RandomStream stream(call.facts.seed, call.facts.epoch, call.facts.samples[image], call.layer_name);
    for (std::size_t i = 0; i < elements; ++i)
      y.data[image * elements + i] *= stream.uniform(i) < static_cast<float>(p) ? 0.0 : 1.0 / (1.0 - p);
  }
  return y;
}

const RegisterReference registered("dropout", {forward, false, {{{{"p", 0.3}}, {{5, 9, 7}}, 3}}});

}  // namespace
}  // namespace lenet_flow::test

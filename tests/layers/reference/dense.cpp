#include "tests/layers/reference/reference.h"

namespace lenet_flow::test {
namespace {

Values forward(const ReferenceCall& call) {
  const Values& x = call.inputs[0];
  const std::int64_t inputs = x.shape.channels;
  Values y({call.attributes.integer("out_features"), 1, 1}, x.images);
  for_each_element(y, [&](std::int64_t image, std::int64_t o, std::int64_t, std::int64_t) {
    double sum = call.attributes.boolean("bias") ? call.parameters[1][static_cast<std::size_t>(o)] : 0.0;
    for (std::int64_t i = 0; i < inputs; ++i)
      sum += call.parameters[0][static_cast<std::size_t>(o * inputs + i)] * x.at(image, i, 0, 0);
    y.at(image, o, 0, 0) = sum;
  });
  return y;
}

const RegisterReference registered("dense", {forward,
                                             false,
                                             {{{{"out_features", std::int64_t{120}}}, {{400, 1, 1}}, 5},
                                              {{{"out_features", std::int64_t{10}}}, {{84, 1, 1}}, 33},
                                              {{{"out_features", std::int64_t{3}}}, {{1, 1, 1}}, 70},
                                              {{{"out_features", std::int64_t{1}}, {"bias", false}}, {{513, 1, 1}}, 1},
                                              {{{"out_features", std::int64_t{97}}}, {{31, 1, 1}}, 17}}});

}  // namespace
}  // namespace lenet_flow::test

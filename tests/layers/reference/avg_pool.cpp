#include "tests/layers/reference/reference.h"

namespace lenet_flow::test {
namespace {

Values forward(const ReferenceCall& call) {
  const Values& x = call.inputs[0];
  const Extent kernel = call.attributes.extent("kernel"), padding = call.attributes.extent("padding");
  const Extent given = call.attributes.extent("stride"), stride = given == Extent{} ? kernel : given;
  // PyTorch's formula, torch.nn.AvgPool2d with ceil_mode false and count_include_pad true.
  Values y({x.shape.channels, (x.shape.height + 2 * padding.height - kernel.height) / stride.height + 1,
            (x.shape.width + 2 * padding.width - kernel.width) / stride.width + 1},
           x.images);
  for_each_element(y, [&](std::int64_t image, std::int64_t channel, std::int64_t row, std::int64_t column) {
    double sum = 0;
    for (std::int64_t ky = 0; ky < kernel.height; ++ky)
      for (std::int64_t kx = 0; kx < kernel.width; ++kx)
        sum += x.padded(image, channel, row * stride.height - padding.height + ky,
                        column * stride.width - padding.width + kx);
    y.at(image, channel, row, column) = sum / static_cast<double>(kernel.height * kernel.width);
  });
  return y;
}

const RegisterReference registered(
    "avg_pool", {forward,
                 false,
                 {{{{"kernel", Extent{2, 2}}}, {{6, 28, 28}}, 2},
                  {{{"kernel", Extent{3, 3}}, {"stride", Extent{2, 2}}, {"padding", Extent{1, 1}}}, {{3, 11, 10}}, 3},
                  {{{"kernel", Extent{2, 3}}, {"stride", Extent{5, 4}}}, {{2, 13, 12}}, 3}}});

}  // namespace
}  // namespace lenet_flow::test

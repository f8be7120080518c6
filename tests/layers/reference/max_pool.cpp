#include <algorithm>
#include <limits>

#include "tests/layers/reference/reference.h"

namespace lenet_flow::test {
namespace {

Values forward(const ReferenceCall& call) {
  const Values& x = call.inputs[0];
  const Extent kernel = call.attributes.extent("kernel"), padding = call.attributes.extent("padding");
  const Extent given = call.attributes.extent("stride"), stride = given == Extent{} ? kernel : given;
  // PyTorch's formula, torch.nn.MaxPool2d with ceil_mode false.
  Values y({x.shape.channels, (x.shape.height + 2 * padding.height - kernel.height) / stride.height + 1,
            (x.shape.width + 2 * padding.width - kernel.width) / stride.width + 1},
           x.images);
  for_each_element(y, [&](std::int64_t image, std::int64_t channel, std::int64_t row, std::int64_t column) {
    double greatest = -std::numeric_limits<double>::infinity();
    for (std::int64_t ky = 0; ky < kernel.height; ++ky)
      for (std::int64_t kx = 0; kx < kernel.width; ++kx) {
        const std::int64_t in_row = row * stride.height - padding.height + ky;
        const std::int64_t in_column = column * stride.width - padding.width + kx;
        if (in_row >= 0 && in_row < x.shape.height && in_column >= 0 && in_column < x.shape.width)
          greatest = std::max(greatest, x.at(image, channel, in_row, in_column));
      }
    y.at(image, channel, row, column) = greatest;
  });
  return y;
}

const RegisterReference registered(
    "max_pool", {forward,
                 false,
                 {{{{"kernel", Extent{2, 2}}}, {{6, 28, 28}}, 2},
                  {{{"kernel", Extent{3, 3}}, {"stride", Extent{2, 2}}, {"padding", Extent{1, 1}}}, {{3, 11, 10}}, 3},
                  {{{"kernel", Extent{2, 3}}, {"stride", Extent{5, 4}}}, {{2, 13, 12}}, 3},
                  {{{"kernel", Extent{3, 1}}, {"stride", Extent{1, 1}}, {"padding", Extent{1, 0}}}, {{1, 1, 7}}, 2}}});

}  // namespace
}  // namespace lenet_flow::test

#include "tests/layers/reference/reference.h"

namespace lenet_flow::test {
namespace {

struct AxisRule {
  std::int64_t output, before;
};

AxisRule axis(std::int64_t input, std::int64_t kernel, std::int64_t stride, std::int64_t dilation, Padding::Rule rule,
              std::int64_t size) {
  const std::int64_t span = dilation * (kernel - 1) + 1;
  if (rule == Padding::Rule::valid) size = 0;
  // PyTorch's formula, torch.nn.Conv2d.
  if (rule != Padding::Rule::same) return {(input + 2 * size - span) / stride + 1, size};
  // TensorFlow's formula, tf.nn.convolution: the odd one goes below and right.
  const std::int64_t output = input % stride == 0 ? input / stride : input / stride + 1;
  const std::int64_t total = (output - 1) * stride + span - input;
  return {output, total > 0 ? total / 2 : 0};
}

Values forward(const ReferenceCall& call) {
  const Values& x = call.inputs[0];
  const Extent kernel = call.attributes.extent("kernel"), stride = call.attributes.extent("stride");
  const Extent dilation = call.attributes.extent("dilation");
  const Padding padding = call.attributes.padding("padding");
  const std::int64_t outputs = call.attributes.integer("out_channels"), groups = call.attributes.integer("groups");
  const AxisRule rows =
      axis(x.shape.height, kernel.height, stride.height, dilation.height, padding.rule, padding.extent.height);
  const AxisRule columns =
      axis(x.shape.width, kernel.width, stride.width, dilation.width, padding.rule, padding.extent.width);
  const std::int64_t inputs_a_group = x.shape.channels / groups, outputs_a_group = outputs / groups;
  Values y({outputs, rows.output, columns.output}, x.images);
  for_each_element(y, [&](std::int64_t image, std::int64_t o, std::int64_t row, std::int64_t column) {
    double sum = call.attributes.boolean("bias") ? call.parameters[1][static_cast<std::size_t>(o)] : 0.0;
    for (std::int64_t c = 0; c < inputs_a_group; ++c)
      for (std::int64_t ky = 0; ky < kernel.height; ++ky)
        for (std::int64_t kx = 0; kx < kernel.width; ++kx) {
          const auto weight =
              static_cast<std::size_t>(((o * inputs_a_group + c) * kernel.height + ky) * kernel.width + kx);
          sum += call.parameters[0][weight] * x.padded(image, o / outputs_a_group * inputs_a_group + c,
                                                       row * stride.height - rows.before + ky * dilation.height,
                                                       column * stride.width - columns.before + kx * dilation.width);
        }
    y.at(image, o, row, column) = sum;
  });
  return y;
}

AttributeValue number(std::int64_t value) { return value; }
AttributeValue size(std::int64_t rows, std::int64_t columns) { return Extent{rows, columns}; }
AttributeValue pad(std::int64_t rows, std::int64_t columns) {
  return Padding{Padding::Rule::size, Extent{rows, columns}};
}
AttributeValue same() { return Padding{Padding::Rule::same, {}}; }

const RegisterReference registered(
    "conv2d", {forward,
               false,
               {
                   // LeNet-5's, with more images than W sums in one go.
                   {{{"out_channels", number(6)}, {"kernel", size(5, 5)}, {"padding", pad(2, 2)}}, {{1, 28, 28}}, 3},
                   {{{"out_channels", number(16)}, {"kernel", size(5, 5)}}, {{6, 14, 14}}, 19},
                   // Deeper than the blocks in which the matrix product sums; more outputs than a panel has columns.
                   {{{"out_channels", number(5)}, {"kernel", size(5, 5)}}, {{23, 7, 6}}, 2},
                   {{{"out_channels", number(70)}, {"kernel", size(1, 1)}, {"bias", false}}, {{3, 4, 5}}, 3},
                   // So many weights that W is not cut by images.
                   {{{"out_channels", number(120)}, {"kernel", size(3, 3)}, {"padding", pad(1, 1)}}, {{64, 2, 2}}, 9},
                   // One image larger than a block of positions; many images in one panel.
                   {{{"out_channels", number(2)}, {"kernel", size(3, 3)}, {"padding", same()}}, {{2, 19, 21}}, 2},
                   {{{"out_channels", number(3)}, {"kernel", size(4, 4)}}, {{2, 4, 4}}, 45},
                   // Every attribute at once; stride over kernel; one channel a group; even kernel with "same".
                   {{{"out_channels", number(6)},
                     {"kernel", size(3, 2)},
                     {"stride", size(2, 3)},
                     {"padding", pad(2, 1)},
                     {"dilation", size(2, 3)},
                     {"groups", number(3)}},
                    {{9, 11, 13}},
                    5},
                   {{{"out_channels", number(4)}, {"kernel", size(2, 2)}, {"stride", size(5, 4)}}, {{2, 13, 14}}, 3},
                   {{{"out_channels", number(8)}, {"kernel", size(3, 3)}, {"groups", number(8)}, {"padding", same()}},
                    {{8, 5, 5}},
                    2},
                   {{{"out_channels", number(3)}, {"kernel", size(4, 2)}, {"stride", size(3, 2)}, {"padding", same()}},
                    {{2, 10, 9}},
                    3},
                   // A kernel that only fits into the padding.
                   {{{"out_channels", number(2)}, {"kernel", size(5, 5)}, {"padding", pad(2, 4)}}, {{1, 1, 1}}, 2},
               }});

}  // namespace
}  // namespace lenet_flow::test

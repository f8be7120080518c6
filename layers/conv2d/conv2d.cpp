#include "layers/conv2d/conv2d.h"

#include <fmt/format.h>

#include "layers/initializers.h"
#include "layers/layer.h"

namespace lenet_flow {
namespace {

class Conv2d final : public Layer {
 public:
  explicit Conv2d(const Attributes& attributes)
      : outputs_(attributes.integer("out_channels")),
        groups_(attributes.integer("groups")),
        kernel_(attributes.extent("kernel")),
        stride_(attributes.extent("stride")),
        dilation_(attributes.extent("dilation")),
        padding_(attributes.padding("padding")),
        bias_(attributes.boolean("bias")),
        initializer_(initializer_of(attributes.choice("initializer"))) {}

  Shape output_shape(std::span<const Shape> inputs) const override {
    const Shape& input = inputs[0];
    for (const auto& [what, channels] : {std::pair{"input", input.channels}, std::pair{"out_channels", outputs_}})
      if (channels % groups_ != 0)
        throw ShapeError(
            fmt::format("{} {} channels cannot be split into {} groups; the number of groups must divide "
                        "both the input's {} channels and out_channels {}",
                        channels, what, groups_, input.channels, outputs_));
    check_weight(outputs_, input.channels / groups_, kernel_);
    const Window window = fit_window(input, kernel_, stride_, dilation_, padding_);
    checked_shape({input.channels, input.height + window.before.height + window.after.height,
                   input.width + window.before.width + window.after.width});
    return checked_shape({outputs_, window.output.height, window.output.width});
  }

  std::vector<ParameterSpec> parameters(std::span<const Shape> inputs) const override {
    const std::int64_t group_inputs = inputs[0].channels / groups_, taps = kernel_.height * kernel_.width;
    std::vector<ParameterSpec> specs{{.name = "weight",
                                      .shape = {outputs_, group_inputs, kernel_.height, kernel_.width},
                                      .initializer = initializer_,
                                      .fan_in = group_inputs * taps,
                                      .fan_out = outputs_ * taps}};
    if (bias_) specs.push_back(bias_spec(outputs_, specs[0]));
    return specs;
  }

  Flops flops(std::span<const Shape> inputs) const override {
    const std::int64_t taps = inputs[0].channels / groups_ * kernel_.height * kernel_.width;
    const double products = static_cast<double>(output_shape(inputs).elements()) * static_cast<double>(taps);
    return {2 * products, 2 * products, 2 * products};
  }

  FusionPart fusion_part(const Shape& input, const Shape& output) const override { return convolution(input, output); }

  std::unique_ptr<Kernel> make_kernel(DeviceKind kind, std::string_view, std::span<const Shape> inputs,
                                      const Shape& output) const override {
    if (kind == DeviceKind::cuda) return make_with_cuda(make_conv2d_cuda, convolution(inputs[0], output));
    return make_conv2d_cpu(convolution(inputs[0], output));
  }

 private:
  Convolution convolution(const Shape& input, const Shape& output) const {
    return {input, output, fit_window(input, kernel_, stride_, dilation_, padding_), groups_, bias_};
  }

  std::int64_t outputs_, groups_;
  Extent kernel_, stride_, dilation_;
  Padding padding_;
  bool bias_;
  Initializer initializer_;
};

AttributeSpec extent_attribute(const char* name, const char* help) {
  return {.name = name,
          .kind = AttributeKind::extent,
          .help = help,
          .default_value = Extent{1, 1},
          .minimum = 1,
          .maximum = most_extent};
}

}  // namespace

LayerType conv2d_type() {
  return {.name = "conv2d",
          .help = "two-dimensional convolution (cross-correlation)",
          .attributes = {{.name = "out_channels",
                          .kind = AttributeKind::integer,
                          .help = "channels of the output",
                          .default_value = {},
                          .minimum = 1,
                          .maximum = 1 << 20},
                         kernel_attribute(),
                         extent_attribute("stride", "step of the kernel"),
                         {.name = "padding",
                          .kind = AttributeKind::padding,
                          .help = "zeros around the image: a size, \"same\" (output = input / stride, rounded up) or "
                                  "\"valid\" (none)",
                          .default_value = Padding{},
                          .minimum = 0,
                          .maximum = most_extent},
                         extent_attribute("dilation", "distance between the kernel's taps"),
                         {.name = "groups",
                          .kind = AttributeKind::integer,
                          .help = "number of groups of channels that do not see each other",
                          .default_value = std::int64_t{1},
                          .minimum = 1,
                          .maximum = 1 << 20},
                         bias_attribute(),
                         initializer_attribute()},
          .make = [](const Attributes& attributes) { return std::make_unique<Conv2d>(attributes); }};
}

}  // namespace lenet_flow

#include "layers/dense/dense.h"

#include <fmt/format.h>

#include <algorithm>

#include "layers/cpu/matrix_product.h"
#include "layers/cpu/scratch.h"
#include "layers/initializers.h"
#include "layers/layer.h"
#include "layers/window.h"

namespace lenet_flow {
namespace {

/// Three matrix products:
///   F   output, transposed [outputs x images] = weight [outputs x inputs] . input, transposed [inputs x images]
///   I   input gradient [images x inputs]      = output gradient [images x outputs] . weight [outputs x inputs]
///   W   weight gradient [outputs x inputs]    = output gradient, transposed [outputs x images] . input
/// The right operands are copied into panels of 32 columns. F puts the images in the vector's lanes: transposing the
/// images costs little, transposing the weights would cost as much as the product.
class DenseCpu final : public Kernel {
 public:
  DenseCpu(std::int64_t inputs, std::int64_t outputs, bool bias) : inputs_(inputs), outputs_(outputs), bias_(bias) {}

  std::size_t workspace_bytes(std::int64_t images, int cores) const override {
    Scratch forward, backward;
    cut_forward(forward, images, cores);
    backward.worker_floats(std::max(images, outputs_) * panel_columns, cores);
    return std::max(forward.used(), backward.used());
  }

  void forward(const KernelCall& call) override;
  void input_gradients(const KernelCall& call) override;
  void parameter_gradients(const KernelCall& call) override;

 private:
  /// Outputs of one item of F.
  static constexpr std::int64_t output_block = 48;

  struct ForwardArrays {
    float* panels;
    WorkerFloats product;
  };

  ForwardArrays cut_forward(Scratch& scratch, std::int64_t images, int cores) const {
    return {scratch.floats(panels_of(images) * panel_columns * inputs_),
            scratch.worker_floats(output_block * panel_columns, cores)};
  }

  std::int64_t inputs_, outputs_;
  bool bias_;
};

/// Columns [first, first + count) of `from` [rows x stride] as a panel, zero in the lanes beyond.
void copy_panel(const float* from, std::int64_t stride, std::int64_t rows, std::int64_t first, std::int64_t count,
                float* to) {
  for (std::int64_t row = 0; row < rows; ++row, to += panel_columns) {
    std::copy_n(from + row * stride + first, count, to);
    std::fill(to + count, to + panel_columns, 0.0f);
  }
}

void DenseCpu::forward(const KernelCall& call) {
  Scratch scratch(call.workspace);
  const ForwardArrays arrays = cut_forward(scratch, call.images, call.cpu().cores());
  const std::int64_t panels = panels_of(call.images), lanes = panels * panel_columns;
  call.cpu().parallel_for(lanes, 8, [&](std::int64_t begin, std::int64_t end, int) {
    for (std::int64_t image = begin; image < end; ++image) {
      float* to = arrays.panels + image / panel_columns * panel_columns * inputs_ + image % panel_columns;
      const float* from = image < call.images ? call.inputs[0].data + image * inputs_ : nullptr;
      for (std::int64_t k = 0; k < inputs_; ++k) to[k * panel_columns] = from ? from[k] : 0.0f;
    }
  });
  const std::int64_t blocks = (outputs_ + output_block - 1) / output_block;
  const auto run = [&](std::int64_t item, int worker) {
    const std::int64_t panel = item / blocks, first_output = item % blocks * output_block;
    const std::int64_t outputs = std::min(output_block, outputs_ - first_output);
    const std::int64_t first_image = panel * panel_columns, images = std::min(panel_columns, call.images - first_image);
    float* product = arrays.product.of(worker);
    multiply({call.parameters[0].data + first_output * inputs_, inputs_, 1}, {arrays.panels + first_image * inputs_, 0},
             {product, panel_columns}, {outputs, images, inputs_}, false);
    const float* bias = bias_ ? call.parameters[1].data + first_output : nullptr;
    for (std::int64_t image = 0; image < images; ++image) {
      float* to = call.output.data + (first_image + image) * outputs_ + first_output;
      for (std::int64_t o = 0; o < outputs; ++o) to[o] = product[o * panel_columns + image] + (bias ? bias[o] : 0.0f);
    }
  };
  call.cpu().parallel_for(panels * blocks, 1, [&](std::int64_t begin, std::int64_t end, int worker) {
    for (std::int64_t item = begin; item < end; ++item) run(item, worker);
  });
}

void DenseCpu::input_gradients(const KernelCall& call) {
  if (!call.input_gradients[0]) return;
  Scratch scratch(call.workspace);
  const WorkerFloats panel = scratch.worker_floats(outputs_ * panel_columns, call.cpu().cores());
  call.cpu().parallel_for(panels_of(inputs_), 1, [&](std::int64_t begin, std::int64_t end, int worker) {
    for (std::int64_t first = begin * panel_columns; first < std::min(inputs_, end * panel_columns);
         first += panel_columns) {
      const std::int64_t count = std::min(panel_columns, inputs_ - first);
      copy_panel(call.parameters[0].data, inputs_, outputs_, first, count, panel.of(worker));
      multiply({call.output_gradient.data, outputs_, 1}, {panel.of(worker), 0},
               {call.input_gradients[0].data + first, inputs_}, {call.images, count, outputs_}, false);
    }
  });
}

void DenseCpu::parameter_gradients(const KernelCall& call) {
  Scratch scratch(call.workspace);
  const WorkerFloats panel = scratch.worker_floats(call.images * panel_columns, call.cpu().cores());
  call.cpu().parallel_for(panels_of(inputs_), 1, [&](std::int64_t begin, std::int64_t end, int worker) {
    for (std::int64_t first = begin * panel_columns; first < std::min(inputs_, end * panel_columns);
         first += panel_columns) {
      const std::int64_t count = std::min(panel_columns, inputs_ - first);
      copy_panel(call.inputs[0].data, inputs_, call.images, first, count, panel.of(worker));
      multiply({call.output_gradient.data, 1, outputs_}, {panel.of(worker), 0},
               {call.parameter_gradients[0].data + first, inputs_}, {outputs_, count, call.images}, false);
    }
  });
  if (!bias_) return;
  call.cpu().parallel_for(outputs_, 64, [&](std::int64_t begin, std::int64_t end, int) {
    for (std::int64_t o = begin; o < end; ++o) {
      double sum = 0;
      for (std::int64_t image = 0; image < call.images; ++image)
        sum += static_cast<double>(call.output_gradient.data[image * outputs_ + o]);
      call.parameter_gradients[1].data[o] = static_cast<float>(sum);
    }
  });
}

class Dense final : public Layer {
 public:
  explicit Dense(const Attributes& attributes)
      : outputs_(attributes.integer("out_features")),
        bias_(attributes.boolean("bias")),
        initializer_(initializer_of(attributes.choice("initializer"))) {}

  Shape output_shape(std::span<const Shape> inputs) const override {
    const Shape& input = inputs[0];
    if (input.height != 1 || input.width != 1)
      throw ShapeError(
          fmt::format("a dense layer takes a vector of features, got {}; a flatten layer before it would "
                      "make it one of {}",
                      input.text(), input.elements()));
    check_weight(outputs_, input.channels, {1, 1});
    return {outputs_};
  }

  std::vector<ParameterSpec> parameters(std::span<const Shape> inputs) const override {
    std::vector<ParameterSpec> specs{{.name = "weight",
                                      .shape = {outputs_, inputs[0].channels},
                                      .initializer = initializer_,
                                      .fan_in = inputs[0].channels,
                                      .fan_out = outputs_}};
    if (bias_) specs.push_back(bias_spec(outputs_, specs[0]));
    return specs;
  }

  Flops flops(std::span<const Shape> inputs) const override {
    const double products = static_cast<double>(outputs_) * static_cast<double>(inputs[0].channels);
    return {2 * products, 2 * products, 2 * products};
  }

  FusionPart fusion_part(const Shape& input, const Shape&) const override {
    return DensePart{.inputs = input.channels, .outputs = outputs_, .bias = bias_};
  }

  std::unique_ptr<Kernel> make_kernel(DeviceKind kind, std::string_view, std::span<const Shape> inputs,
                                      const Shape&) const override {
    if (kind == DeviceKind::cuda)
      return make_with_cuda(make_dense_cuda, DensePart{inputs[0].channels, outputs_, bias_}, ActivationPart{});
    return std::make_unique<DenseCpu>(inputs[0].channels, outputs_, bias_);
  }

 private:
  std::int64_t outputs_;
  bool bias_;
  Initializer initializer_;
};

}  // namespace

LayerType dense_type() {
  return {.name = "dense",
          .help = "every output is a weighted sum of all inputs",
          .attributes = {{.name = "out_features",
                          .kind = AttributeKind::integer,
                          .help = "number of outputs",
                          .default_value = {},
                          .minimum = 1,
                          .maximum = 1 << 24},
                         bias_attribute(),
                         initializer_attribute()},
          .make = [](const Attributes& attributes) { return std::make_unique<Dense>(attributes); }};
}

}  // namespace lenet_flow

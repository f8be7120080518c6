#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cstring>

#include "devices/random.h"
#include "layers/fusion.h"
#include "layers/registry.h"
#include "tests/layers/device_values.h"

using namespace lenet_flow;
using namespace lenet_flow::test;

namespace {

using Values = std::vector<float>;

/// A layer of a chain with its numbers.
struct Link {
  std::unique_ptr<Layer> layer;
  Shape input, output;
  std::vector<Values> parameters;
};

std::unique_ptr<Layer> make(const std::string& type, const std::vector<std::pair<std::string, AttributeValue>>& given) {
  for (const LayerType& known : layer_types()) {
    if (known.name != type) continue;
    Attributes attributes;
    for (const AttributeSpec& spec : known.attributes) attributes.set(spec.name, spec.default_value);
    for (const auto& [name, value] : given) attributes.set(name, value);
    return known.make(attributes);
  }
  return nullptr;
}

/// Numbers of which some are exactly zero, and some equal: pools and activations must choose.
Values numbers(std::int64_t count, std::uint32_t seed) {
  const RandomStream stream(seed, 1, 1, "fusion");
  Values values(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::uint32_t bits = stream.bits(i);
    values[i] = bits % 5 == 0 ? 0.0f : static_cast<float>(static_cast<int>(bits >> 8) - (1 << 23)) * 0x1p-23f;
    if (bits % 7 == 0) values[i] = 0.5f;
  }
  return values;
}

std::vector<Link> chain_of(std::vector<std::unique_ptr<Layer>> layers, Shape shape) {
  std::vector<Link> chain;
  std::uint32_t seed = 10;
  for (auto& layer : layers) {
    Link& link = chain.emplace_back();
    link.input = shape;
    link.output = shape = layer->output_shape({&link.input, 1});
    for (const ParameterSpec& spec : layer->parameters({&link.input, 1}))
      link.parameters.push_back(numbers(spec.elements(), ++seed));
    link.layer = std::move(layer);
  }
  return chain;
}

/// What forward, I and W of one kernel come to.
struct Results {
  Values output, input_gradient;
  std::vector<Values> parameter_gradients;
};

/// Runs a kernel whose saved memory `saved` is kept from F to I and W. Without an output gradient forward alone.
class Runner {
 public:
  Runner(Kernel& kernel, const Shape& input, const Shape& output, std::int64_t images, const Values& pixels,
         const std::vector<Values>& parameters)
      : device_(device_under_test()), kernel_(kernel), images_(images), input_(input), output_(output) {
    inputs_[0] = {values(pixels), input, images};
    for (const Values& parameter : parameters) {
      parameters_.push_back({values(parameter), static_cast<std::int64_t>(parameter.size())});
      gradients_.push_back({values(parameter), static_cast<std::int64_t>(parameter.size())});
    }
    call_.queue = &device_.queue();
    call_.images = images;
    call_.inputs = inputs_;
    call_.output = {values(Values(static_cast<std::size_t>(output.elements() * images))), output, images};
    call_.parameters = parameters_;
    call_.saved = bytes(kernel.saved_bytes(images));
    call_.workspace = bytes(kernel.workspace_bytes(images, 1));
  }

  Values forward() {
    device_.run_host([&] { kernel_.forward(call_); });
    return read(call_.output.data, output_.elements() * images_);
  }
  Results backward(const Values& output_gradient) {
    call_.output_gradient = {values(output_gradient), output_, images_};
    input_gradients_[0] = {values(Values(static_cast<std::size_t>(input_.elements() * images_))), input_, images_};
    call_.input_gradients = input_gradients_;
    call_.parameter_gradients = gradients_;
    device_.run_host([&] {
      kernel_.input_gradients(call_);
      if (!gradients_.empty()) kernel_.parameter_gradients(call_);
    });
    Results results;
    results.input_gradient = read(input_gradients_[0].data, input_.elements() * images_);
    for (const ParameterView& view : gradients_) results.parameter_gradients.push_back(read(view.data, view.elements));
    return results;
  }

 private:
  float* values(const Values& from) {
    auto* to = reinterpret_cast<float*>(device_.allocate(from.size() * sizeof(float)));
    device_.write_bytes(std::as_bytes(std::span(from)), reinterpret_cast<std::byte*>(to));
    return to;
  }
  std::span<std::byte> bytes(std::size_t count) { return {count ? device_.allocate(count) : nullptr, count}; }
  Values read(const float* from, std::int64_t count) {
    Values to(static_cast<std::size_t>(count));
    device_.read_bytes(reinterpret_cast<const std::byte*>(from), std::as_writable_bytes(std::span(to)));
    return to;
  }

  Device& device_;
  Kernel& kernel_;
  std::int64_t images_;
  Shape input_, output_;
  Tensor inputs_[1], input_gradients_[1];
  std::vector<ParameterView> parameters_, gradients_;
  KernelCall call_;
};

/// Equal numbers; zeros of either sign are equal.
void check_equal(const char* what, const Values& fused, const Values& apart) {
  REQUIRE(fused.size() == apart.size());
  std::size_t different = 0;
  for (std::size_t i = 0; i < fused.size(); ++i) different += fused[i] != apart[i];
  CHECK_MESSAGE(different == 0, what, ": ", different, " of ", fused.size());
}

void check_chain(const std::vector<Link>& chain, std::int64_t images) {
  std::vector<FusionLayer> layers;
  std::vector<Values> parameters;
  for (const Link& link : chain) {
    layers.push_back({link.layer.get(), link.input, link.output});
    parameters.insert(parameters.end(), link.parameters.begin(), link.parameters.end());
  }
  const auto fused = make_fused_kernel(DeviceKind::cuda, layers);
  REQUIRE(fused);
  const Shape first = chain.front().input, last = chain.back().output;
  const Values pixels = numbers(first.elements() * images, 1), gradient = numbers(last.elements() * images, 2);

  std::vector<std::unique_ptr<Kernel>> kernels;
  std::vector<std::unique_ptr<Runner>> runners;
  Values activation = pixels;
  for (const Link& link : chain) {
    kernels.push_back(link.layer->make_kernel(DeviceKind::cuda, "layer", {&link.input, 1}, link.output));
    runners.push_back(
        std::make_unique<Runner>(*kernels.back(), link.input, link.output, images, activation, link.parameters));
    activation = runners.back()->forward();
  }
  Runner whole(*fused, first, last, images, pixels, parameters);
  check_equal("output", whole.forward(), activation);
  const Results together = whole.backward(gradient);
  Values flowing = gradient;
  std::vector<Values> apart;
  for (std::size_t i = chain.size(); i-- > 0;) {
    const Results results = runners[i]->backward(flowing);
    flowing = results.input_gradient;
    apart.insert(apart.begin(), results.parameter_gradients.begin(), results.parameter_gradients.end());
  }
  check_equal("input gradient", together.input_gradient, flowing);
  REQUIRE(together.parameter_gradients.size() == apart.size());
  for (std::size_t i = 0; i < apart.size(); ++i)
    check_equal("parameter gradient", together.parameter_gradients[i], apart[i]);
}

}  // namespace

TEST_CASE("a chain of convolution, activation and pool gives the bits of its layers") {
  struct Case {
    Shape input;
    std::int64_t outputs, kernel, padding, images;
    bool bias;
    std::string activation, pool;
    std::int64_t cell;
  };
  const std::vector<Case> cases = {
      {{1, 28, 28}, 6, 5, 2, 3, true, "relu", "max_pool", 2},
      {{6, 14, 14}, 16, 5, 0, 2, true, "relu", "max_pool", 2},
      {{3, 9, 11}, 4, 3, 1, 5, false, "tanh", "max_pool", 2},
      {{2, 7, 7}, 5, 3, 0, 2, true, "sigmoid", "avg_pool", 2},
      {{2, 10, 8}, 3, 3, 1, 1, true, "", "max_pool", 3},
      {{1, 12, 12}, 2, 5, 2, 4, false, "leaky_relu", "avg_pool", 3},
      {{4, 6, 6}, 7, 3, 1, 33, true, "relu", "max_pool", 2},
  };
  for (const Case& what : cases) {
    CAPTURE(what.input.text());
    std::vector<std::unique_ptr<Layer>> layers;
    layers.push_back(make("conv2d", {{"out_channels", what.outputs},
                                     {"kernel", Extent{what.kernel, what.kernel}},
                                     {"padding", Padding{Padding::Rule::size, {what.padding, what.padding}}},
                                     {"bias", what.bias}}));
    if (!what.activation.empty()) layers.push_back(make(what.activation, {}));
    layers.push_back(make(what.pool, {{"kernel", Extent{what.cell, what.cell}}}));
    check_chain(chain_of(std::move(layers), what.input), what.images);
  }
}

TEST_CASE("what one kernel cannot do is left to the layers") {
  const auto count = [](std::vector<std::unique_ptr<Layer>> layers, Shape shape, DeviceKind kind) {
    const std::vector<Link> chain = chain_of(std::move(layers), shape);
    std::vector<FusionLayer> fusion;
    for (const Link& link : chain) fusion.push_back({link.layer.get(), link.input, link.output});
    return longest_fusion(kind, fusion);
  };
  const auto lenet = [&] {
    std::vector<std::unique_ptr<Layer>> layers;
    layers.push_back(make("conv2d", {{"out_channels", std::int64_t{6}}, {"kernel", Extent{5, 5}}}));
    layers.push_back(make("relu", {}));
    layers.push_back(make("max_pool", {{"kernel", Extent{2, 2}}}));
    layers.push_back(make("relu", {}));
    return layers;
  };
  CHECK(count(lenet(), {1, 28, 28}, DeviceKind::cuda) == 3);
  CHECK(count(lenet(), {1, 28, 28}, DeviceKind::cpu) <= 1);
}

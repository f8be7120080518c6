#include "tests/layers/layer_run.h"

#include <limits>
#include <stdexcept>

namespace lenet_flow::test {
namespace {

constexpr std::size_t guard_bytes = 64;

/// Poisoned memory of a device with a guard behind every piece.
class GuardedMemory {
 public:
  explicit GuardedMemory(DeviceUnderTest& under_test) : under_test_(under_test) {}

  std::byte* bytes(std::size_t count) {
    std::byte* at = under_test_.device->allocate(count + guard_bytes);
    under_test_.poison(at, count + guard_bytes);
    guards_.push_back(at + count);
    return at;
  }
  float* floats(std::int64_t count) {
    return reinterpret_cast<float*>(bytes(static_cast<std::size_t>(count) * sizeof(float)));
  }
  Tensor activation(const Shape& shape, std::int64_t images) {
    return {floats(under_test_.device->activation_floats(shape, images)), shape, images};
  }
  /// What kernels read beside tensors, in the device's memory.
  std::span<const std::uint32_t> copy(const std::vector<std::uint32_t>& values) {
    const auto from = std::as_bytes(std::span(values));
    std::byte* to = bytes(from.size());
    under_test_.device->write_bytes(from, to);
    return {reinterpret_cast<const std::uint32_t*>(to), values.size()};
  }
  ParameterView parameter(std::int64_t elements) { return {floats(elements), elements}; }

  void check_guards() const {
    for (const std::byte* guard : guards_)
      if (!under_test_.is_poisoned(guard, guard_bytes)) throw std::runtime_error("written past the end of memory");
  }

 private:
  DeviceUnderTest& under_test_;
  std::vector<std::byte*> guards_;
};

std::vector<float> read(Device& device, const Tensor& tensor) {
  std::vector<float> values(static_cast<std::size_t>(tensor.elements()));
  device.read_activation(tensor, values);
  return values;
}

std::vector<float> read(Device& device, const ParameterView& parameter) {
  std::vector<float> values(static_cast<std::size_t>(parameter.elements));
  device.read_parameter(parameter, values);
  return values;
}

}  // namespace

LayerResults run_layer(const LayerCase& layer_case, const LayerData& data, DeviceUnderTest& under_test,
                       const Actions& actions) {
  Device& device = *under_test.device;
  GuardedMemory memory(under_test);
  const auto images = static_cast<std::int64_t>(data.samples.size());
  const auto kernel = layer_case.layer->make_kernel(device.kind(), layer_name, layer_case.inputs, layer_case.output);
  if (!kernel) throw std::runtime_error("no kernel for this kind of device");
  const int cores = device.kind() == DeviceKind::cpu ? static_cast<CpuQueue&>(device.queue()).cores() : 1;

  std::vector<Tensor> inputs, input_gradients;
  std::vector<ParameterView> parameters, parameter_gradients;
  for (std::size_t i = 0; i < layer_case.inputs.size(); ++i) {
    inputs.push_back(memory.activation(layer_case.inputs[i], images));
    device.write_activation(data.inputs[i], inputs.back());
    input_gradients.push_back(i == actions.skipped_input ? Tensor{nullptr, layer_case.inputs[i], images}
                                                         : memory.activation(layer_case.inputs[i], images));
  }
  for (std::size_t i = 0; i < layer_case.parameters.size(); ++i) {
    const ParameterSpec& spec = layer_case.parameters[i];
    parameters.push_back(memory.parameter(spec.elements()));
    device.write_parameter(data.parameters[i], parameters.back());
    parameter_gradients.push_back(spec.trained ? memory.parameter(spec.elements())
                                               : ParameterView{nullptr, spec.elements()});
  }
  const std::size_t saved = kernel->saved_bytes(images), workspace = kernel->workspace_bytes(images, cores);
  const auto statistics = static_cast<std::size_t>(kernel->statistics_floats());
  KernelCall call;
  call.queue = &device.queue();
  call.facts = {data.mode, 99, 3, memory.copy(data.samples)};
  call.images = images;
  call.inputs = inputs;
  call.output = memory.activation(layer_case.output, images);
  call.parameters = parameters;
  call.saved = {memory.bytes(saved), saved};
  call.statistics = {memory.floats(static_cast<std::int64_t>(statistics)), statistics};
  call.workspace = {memory.bytes(workspace), workspace};

  LayerResults results;
  device.run_host([&] { kernel->forward(call); });
  memory.check_guards();
  results.output = read(device, call.output);
  if (!actions.backward) return results;
  call.output_gradient = memory.activation(layer_case.output, images);
  device.write_activation(data.output_gradient, call.output_gradient);
  call.input_gradients = input_gradients;
  under_test.poison(call.workspace.data(), workspace);
  device.run_host([&] { kernel->input_gradients(call); });
  call.parameter_gradients = parameter_gradients;
  under_test.poison(call.workspace.data(), workspace);
  device.run_host([&] { kernel->parameter_gradients(call); });
  for (const Tensor& gradient : input_gradients)
    results.input_gradients.push_back(gradient ? read(device, gradient) : std::vector<float>());
  for (const ParameterView& gradient : parameter_gradients)
    results.parameter_gradients.push_back(gradient.data ? read(device, gradient) : std::vector<float>());
  results.statistics = read(device, ParameterView{call.statistics.data(), static_cast<std::int64_t>(statistics)});

  KernelCall fold;
  fold.queue = call.queue;
  fold.parameters = parameters;
  fold.statistics = call.statistics;
  fold.workspace = call.workspace;
  device.run_host([&] { kernel->fold_statistics(fold); });
  for (const ParameterView& parameter : parameters) results.folded.push_back(read(device, parameter));
  memory.check_guards();
  return results;
}

}  // namespace lenet_flow::test

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "devices/cpu_device.h"
#include "devices/machine.h"
#include "engine/training/session.h"
#include "engine/training/verify.h"

namespace lenet_flow {
namespace {

/// Tensors in host memory, in the standard layout.
using Values = std::vector<float>;

/// What goes into a layer. Without an output gradient it runs forward only.
struct LayerInput {
  std::vector<std::span<const float>> inputs, parameters;
  std::vector<bool> wanted;  ///< one an input: somebody asks for its gradient
  std::span<const float> output_gradient;
};

/// What comes out of it. Tensors that nobody asked for are empty.
struct LayerOutput {
  Values output;
  std::vector<Values> input_gradients, parameter_gradients;
  std::vector<Values> statistics;  ///< the running parameters, this micro-batch folded in
};

/// The micro-batch that everything runs on.
struct Images {
  std::vector<std::uint32_t> samples;
  std::vector<std::int32_t> labels;
  Values pixels;
  MicroBatchFacts facts;

  std::int64_t count() const { return static_cast<std::int64_t>(samples.size()); }
};

/// Memory of a device, full of NaN before kernels write to it: what one leaves out shows.
class DeviceMemory {
 public:
  explicit DeviceMemory(Device& device) : device_(device) {}

  Tensor activation(const Shape& shape, std::int64_t images, std::span<const float> values = {}) const {
    const Tensor tensor{floats(device_.activation_floats(shape, images)), shape, images};
    const auto count = static_cast<std::size_t>(tensor.elements());
    device_.write_activation(values.empty() ? Values(count, not_written) : values, tensor);
    return tensor;
  }
  ParameterView parameter(std::int64_t elements, std::span<const float> values = {}) const {
    const ParameterView view{floats(elements), elements};
    device_.write_parameter(values.empty() ? Values(static_cast<std::size_t>(elements), not_written) : values, view);
    return view;
  }
  std::span<std::byte> bytes(std::size_t count) const { return {count ? device_.allocate(count) : nullptr, count}; }

  Values read(const Tensor& tensor) const {
    Values values(static_cast<std::size_t>(tensor.elements()));
    if (tensor) device_.read_activation(tensor, values);
    return tensor ? values : Values();
  }
  Values read(const ParameterView& view) const {
    Values values(static_cast<std::size_t>(view.elements));
    if (view.data) device_.read_parameter(view, values);
    return view.data ? values : Values();
  }

 private:
  static constexpr float not_written = std::numeric_limits<float>::quiet_NaN();

  float* floats(std::int64_t count) const {
    return reinterpret_cast<float*>(device_.allocate(static_cast<std::size_t>(count) * sizeof(float)));
  }

  Device& device_;
};

/// Forward, I, W and the folding of statistics of one layer on a device.
LayerOutput run_layer(const NetworkLayer& layer, Device& device, const LayerInput& input, const Images& images) {
  const auto kernel = layer.layer->make_kernel(device.kind(), layer.name, layer.input_shapes, layer.output_shape);
  if (!kernel)
    throw MissingError("layer '" + layer.name + "' (" + layer.type + ") has no kernel for device '" + device.name() +
                       "'");
  const DeviceMemory memory(device);
  const int cores = device.kind() == DeviceKind::cpu ? static_cast<const CpuQueue&>(device.queue()).cores() : 1;
  const std::int64_t count = images.count();
  const bool backward = !input.output_gradient.empty();
  std::vector<Tensor> inputs, input_gradients;
  for (std::size_t i = 0; i < layer.input_shapes.size(); ++i) {
    inputs.push_back(memory.activation(layer.input_shapes[i], count, input.inputs[i]));
    input_gradients.push_back(backward && input.wanted[i] ? memory.activation(layer.input_shapes[i], count)
                                                          : Tensor{nullptr, layer.input_shapes[i], count});
  }
  std::vector<ParameterView> parameters, parameter_gradients;
  for (std::size_t i = 0; i < layer.parameters.size(); ++i) {
    const std::int64_t elements = layer.parameters[i].elements();
    parameters.push_back(memory.parameter(elements, input.parameters[i]));
    parameter_gradients.push_back(backward && layer.parameters[i].trained ? memory.parameter(elements)
                                                                          : ParameterView{nullptr, elements});
  }
  const std::int64_t statistics = kernel->statistics_floats();
  KernelCall call;
  call.queue = &device.queue();
  call.facts = images.facts;
  call.images = count;
  call.inputs = inputs;
  call.output = memory.activation(layer.output_shape, count);
  call.parameters = parameters;
  call.saved = memory.bytes(kernel->saved_bytes(count));
  if (statistics > 0) call.statistics = {memory.parameter(statistics).data, static_cast<std::size_t>(statistics)};
  call.workspace = memory.bytes(kernel->workspace_bytes(count, cores));
  device.run_host([&] { kernel->forward(call); });
  LayerOutput output;
  output.output = memory.read(call.output);
  if (!backward) return output;
  call.output_gradient = memory.activation(layer.output_shape, count, input.output_gradient);
  call.input_gradients = input_gradients;
  const auto asked = [](const auto& views) {
    return std::any_of(views.begin(), views.end(), [](const auto& view) { return view.data != nullptr; });
  };
  if (asked(input_gradients)) device.run_host([&] { kernel->input_gradients(call); });
  call.parameter_gradients = parameter_gradients;
  if (asked(parameter_gradients)) device.run_host([&] { kernel->parameter_gradients(call); });
  for (const Tensor& gradient : input_gradients) output.input_gradients.push_back(memory.read(gradient));
  for (const ParameterView& gradient : parameter_gradients) output.parameter_gradients.push_back(memory.read(gradient));
  if (statistics == 0) return output;
  device.run_host([&] { kernel->fold_statistics(call); });
  for (std::size_t i = 0; i < parameters.size(); ++i)
    if (!layer.parameters[i].trained) output.statistics.push_back(memory.read(parameters[i]));
  return output;
}

/// What the loss says on a device: each image's loss, and the gradient of the network's output.
struct LossOutput {
  Values losses, gradient;
};

LossOutput run_loss(const Network& network, Device& device, std::span<const float> output, const Images& images) {
  const Shape& shape = network.layers[static_cast<std::size_t>(network.output_layer)].output_shape;
  const DeviceMemory memory(device);
  LossOutput result;
  result.losses.resize(images.samples.size());
  std::vector<std::int32_t> predicted(images.samples.size());
  LossCall call;
  call.queue = &device.queue();
  call.output = memory.activation(shape, images.count(), output);
  call.labels = images.labels;
  call.batch_images = images.count();
  call.output_gradient = memory.activation(shape, images.count());
  call.losses = result.losses;
  call.predicted = predicted;
  device.run_host([&] { network.loss->run(device.kind(), call); });
  result.gradient = memory.read(call.output_gradient);
  return result;
}

/// The worst |a - b| / (1 + greatest |b|), as a share of `tolerance`; none where there is nothing to compare. A
/// tolerance of 0 asks for equality: any error is infinitely far from it.
std::optional<double> worst_error(const std::vector<Values>& mine, const std::vector<Values>& reference,
                                  double tolerance) {
  std::optional<double> worst;
  for (std::size_t i = 0; i < mine.size(); ++i) {
    double greatest = 0, apart = 0;
    for (std::size_t j = 0; j < mine[i].size(); ++j) {
      const auto a = static_cast<double>(mine[i][j]), b = static_cast<double>(reference[i][j]);
      greatest = std::max(greatest, std::abs(b));
      const double error = std::abs(a - b);
      apart = std::max(apart, std::isnan(error) ? std::numeric_limits<double>::infinity() : error);
    }
    if (mine[i].empty()) continue;
    const double allowed = tolerance * (1 + greatest);
    const double share = apart == 0 ? 0 : allowed > 0 ? apart / allowed : std::numeric_limits<double>::infinity();
    worst = std::max(worst.value_or(0), share);
  }
  return worst;
}

/// A network on a micro-batch, layer by layer.
class LayerVerifier {
 public:
  explicit LayerVerifier(const Session& session)
      : session_(session), network_(session.network()), rows_(network_.layers.size() + 1) {
    take_images();
    take_parameters();
  }

  LayerVerification run() {
    forward();
    verify_loss();
    for (auto number = network_.order.rbegin(); number != network_.order.rend(); ++number) verify(*number);
    verification_.images = images_.count();
    for (const int number : network_.order) append(rows_[static_cast<std::size_t>(number)]);
    append(rows_.back());
    return std::move(verification_);
  }

 private:
  const NetworkLayer& layer(int number) const { return network_.layers[static_cast<std::size_t>(number)]; }

  void take_images() {
    const BatchCut cut = session_.cut(session_.train_images());
    const auto elements = static_cast<std::size_t>(network_.input.elements());
    constexpr std::uint32_t first_epoch = 1;
    const TrainingEntry& training = session_.file().training;
    images_.samples = epoch_order(session_.train_images(), session_.file().data.shuffle, training.seed, first_epoch);
    images_.samples.resize(static_cast<std::size_t>(cut.micro_batch_images(0, 0)));
    images_.pixels.resize(images_.samples.size() * elements);
    for (std::size_t i = 0; i < images_.samples.size(); ++i) {
      images_.labels.push_back(session_.train().label(images_.samples[i]));
      session_.train().write(images_.samples[i], first_epoch, true,
                             std::span(images_.pixels).subspan(i * elements, elements));
    }
    images_.facts = {Mode::train, training.seed, first_epoch, images_.samples};
  }

  /// The parameters that training starts from, checked as a run checks them.
  void take_parameters() {
    PipelineOptions options = session_.pipeline_options("sequential");
    options.training = true;
    const std::vector<NamedTensor> tensors = session_.open_pipeline(options)->parameters(false);
    const std::vector<FileParameter> parameters = file_parameters(network_);
    parameters_.resize(network_.layers.size());
    for (std::size_t i = 0; i < network_.layers.size(); ++i)
      parameters_[i].resize(network_.layers[i].parameters.size());
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      for (const FileParameter::Piece& piece : parameters[i].pieces) {
        const auto number = static_cast<std::size_t>(piece.parameter);
        const auto begin = tensors[i].values.begin() + piece.first;
        parameters_[static_cast<std::size_t>(piece.layer)][number].assign(
            begin, begin + layer(piece.layer).parameters[number].elements());
      }
    }
  }

  LayerInput input_of(int number) const {
    LayerInput input;
    for (const int producer : layer(number).producers) {
      const bool is_image = producer == network_input;
      input.inputs.emplace_back(is_image ? images_.pixels : outputs_[static_cast<std::size_t>(producer)]);
      input.wanted.push_back(!is_image && needs_output_gradient(layer(producer)));
    }
    for (const Values& values : parameters_[static_cast<std::size_t>(number)]) input.parameters.emplace_back(values);
    return input;
  }

  void forward() {
    outputs_.resize(network_.layers.size());
    for (const int number : network_.order) {
      CpuDevice cpu("reference", {Machine::here().cores().front()});
      outputs_[static_cast<std::size_t>(number)] = run_layer(layer(number), cpu, input_of(number), images_).output;
    }
  }

  void append(const std::vector<LayerVerification::Layer>& rows) {
    verification_.layers.insert(verification_.layers.end(), rows.begin(), rows.end());
  }

  /// A CPU device to compare `device` with: of one core, or where that is a CPU device of one core, of all.
  static std::unique_ptr<CpuDevice> reference_for(const Device& device) {
    const auto* cpu = dynamic_cast<const CpuDevice*>(&device);
    std::vector<int> cores = Machine::here().cores();
    if (!cpu || cpu->cores().size() > 1) cores.resize(1);
    return std::make_unique<CpuDevice>("reference", cores);
  }

  LayerVerification::Layer& add_row(std::size_t place, const std::string& device_name, const Device& device,
                                    const Device& reference) {
    verification_.cpu_only = verification_.cpu_only && device.kind() == DeviceKind::cpu;
    LayerVerification::Layer& row = rows_[place].emplace_back();
    row.device = device_name;
    row.on = device.description();
    row.reference = reference.description();
    return row;
  }

  /// Calls visit(name in the file, device) for each device of a layer's stage, each device once.
  template <typename Visit>
  void for_each_device(const NetworkLayer& layer, Visit&& visit) const {
    for (const std::string& name : network_.stages[static_cast<std::size_t>(layer.stage)].devices)
      visit(name, session_.devices().device(session_.devices().index_of(name)));
  }

  void verify_loss() {
    const auto& output = outputs_[static_cast<std::size_t>(network_.output_layer)];
    gradients_.resize(network_.layers.size());
    for_each_device(layer(network_.output_layer), [&](const std::string& name, Device& device) {
      const auto reference = reference_for(device);
      const LossOutput mine = run_loss(network_, device, output, images_);
      const LossOutput expected = run_loss(network_, *reference, output, images_);
      auto& row = add_row(network_.layers.size(), name, device, *reference);
      row.name = "loss";
      row.type = session_.file().loss.type;
      row.tolerance = network_.loss->tolerance();
      row.output = worst_error({mine.losses}, {expected.losses}, row.tolerance);
      row.input_gradients = worst_error({mine.gradient}, {expected.gradient}, row.tolerance);
      gradients_[static_cast<std::size_t>(network_.output_layer)][{-1, 0}] = expected.gradient;
    });
  }

  /// What a layer's consumers sent, added in the order of the file. Empty where nobody needs it.
  Values output_gradient(int number) const {
    const auto& sent = gradients_[static_cast<std::size_t>(number)];
    Values sum;
    for (const auto& [consumer, gradient] : sent) {
      if (sum.empty()) sum.assign(gradient.size(), 0.0f);
      for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += gradient[i];
    }
    return sum;
  }

  void verify(int number) {
    const NetworkLayer& what = layer(number);
    const Values gradient = output_gradient(number);
    LayerInput input = input_of(number);
    input.output_gradient = gradient;
    LayerOutput expected;
    for_each_device(what, [&](const std::string& name, Device& device) {
      const auto reference = reference_for(device);
      const LayerOutput mine = run_layer(what, device, input, images_);
      expected = run_layer(what, *reference, input, images_);
      auto& row = add_row(static_cast<std::size_t>(number), name, device, *reference);
      row.name = what.name;
      row.type = what.type;
      row.tolerance = what.layer->tolerance();
      row.output = worst_error({mine.output}, {expected.output}, row.tolerance);
      row.input_gradients = worst_error(mine.input_gradients, expected.input_gradients, row.tolerance);
      row.parameter_gradients = worst_error(mine.parameter_gradients, expected.parameter_gradients, row.tolerance);
      row.statistics = worst_error(mine.statistics, expected.statistics, row.tolerance);
    });
    for (std::size_t i = 0; i < expected.input_gradients.size(); ++i) {
      if (expected.input_gradients[i].empty()) continue;
      auto& sent = gradients_[static_cast<std::size_t>(what.producers[i])];
      sent[{number, static_cast<int>(i)}] = std::move(expected.input_gradients[i]);
    }
  }

  const Session& session_;
  const Network& network_;
  Images images_;
  std::vector<std::vector<Values>> parameters_;  ///< [layer][parameter]
  std::vector<Values> outputs_;                  ///< one a layer, by the reference
  /// One a layer: the gradients of its output, by consumer and which of its inputs, by the reference.
  std::vector<std::map<std::pair<int, int>, Values>> gradients_;
  /// One a layer, and one for the loss: its devices.
  std::vector<std::vector<LayerVerification::Layer>> rows_;
  LayerVerification verification_;
};

}  // namespace

double LayerVerification::Layer::worst() const {
  return std::max(
      {output.value_or(0), input_gradients.value_or(0), parameter_gradients.value_or(0), statistics.value_or(0)});
}

bool LayerVerification::within() const {
  return std::all_of(layers.begin(), layers.end(), [](const Layer& layer) { return layer.worst() <= 1; });
}

LayerVerification verify_layers(const RunOptions& options) {
  const Session session(options, Session::Data::all);
  LayerVerification verification = LayerVerifier(session).run();
  verification.warnings = session.warnings();
  return verification;
}

}  // namespace lenet_flow

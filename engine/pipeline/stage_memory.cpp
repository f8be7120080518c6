#include "engine/pipeline/stage_memory.h"

#include <algorithm>
#include <stdexcept>

namespace lenet_flow {
namespace {

constexpr std::size_t alignment = 64;

bool reads_network_input(const NetworkLayer& layer) {
  return std::find(layer.producers.begin(), layer.producers.end(), network_input) != layer.producers.end();
}

}  // namespace

bool needs_output_gradient(const NetworkLayer& layer) {
  return layer.needs_input_gradients || std::any_of(layer.parameters.begin(), layer.parameters.end(),
                                                    [](const ParameterSpec& spec) { return spec.trained; });
}

/// Cuts a block into pieces, or only counts where there is no block yet.
class StageMemory::Cutter {
 public:
  explicit Cutter(std::byte* block) : block_(block) {}

  std::byte* bytes(std::size_t count, std::uint64_t& account) {
    const std::size_t rounded = (count + alignment - 1) / alignment * alignment;
    std::byte* at = block_ && count ? block_ + used_ : nullptr;
    used_ += rounded;
    account += rounded;
    return at;
  }
  float* floats(std::int64_t count, std::uint64_t& account) {
    return reinterpret_cast<float*>(bytes(static_cast<std::size_t>(count) * sizeof(float), account));
  }

 private:
  std::byte* block_;
  std::size_t used_ = 0;
};

StageMemory::StageMemory(const Network& network, int stage, int replica, const MemoryNeeds& needs, Device& device)
    : network_(&network), stage_(stage), replica_(replica), needs_(needs), device_(&device) {
  for (const int number : network.stages[static_cast<std::size_t>(stage)].layers) {
    const NetworkLayer& layer = network.layers[static_cast<std::size_t>(number)];
    LayerMemory memory;
    memory.layer = number;
    memory.leaves =
        std::any_of(layer.consumers.begin(), layer.consumers.end(), [&](const std::pair<int, int>& consumer) {
          return network.layers[static_cast<std::size_t>(consumer.first)].stage != stage;
        });
    memory.kernel = layer.layer->make_kernel(device.kind(), layer.name, layer.input_shapes, layer.output_shape);
    if (!memory.kernel)
      throw MissingError("layer '" + layer.name + "' (" + layer.type + ") has no kernel for device '" + device.name() +
                         "'");
    layers_.push_back(std::move(memory));
  }
  Cutter counter(nullptr);
  cut(counter);
}

void StageMemory::allocate() {
  std::byte* block = device_->allocate(bytes_.sum() - bytes_.workspace);
  Cutter cutter(block);
  cut(cutter);
}

void StageMemory::share_parameters(const StageMemory& first) {
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    layers_[i].parameters = first.layers_[i].parameters;
    layers_[i].versions = first.layers_[i].versions;
  }
}

LayerMemory& StageMemory::layer(int number) {
  return *std::find_if(layers_.begin(), layers_.end(),
                       [number](const LayerMemory& memory) { return memory.layer == number; });
}

std::uint64_t StageMemory::held_bytes() const {
  const auto bytes_of = [this](const Shape& shape) {
    return static_cast<std::uint64_t>(device_->activation_floats(shape, needs_.micro_batch)) * sizeof(float);
  };
  std::uint64_t bytes = network_inputs_.empty() ? 0 : bytes_of(network_->input);
  for (const LayerMemory& memory : layers_) {
    if (!memory.outputs.empty()) bytes += bytes_of(memory.outputs[0].shape);
    if (!needs_.recompute && !memory.saved.empty()) bytes += memory.saved[0].size();
  }
  return bytes;
}

void StageMemory::cut(Cutter& cutter) {
  bytes_ = {};
  for (LayerMemory& memory : layers_) {
    cut_parameters(cutter, memory);
    cut_activations(cutter, memory);
    if (needs_.training) cut_gradients(cutter, memory);
    const int cores = device_->kind() == DeviceKind::cpu ? static_cast<const CpuQueue&>(device_->queue()).cores() : 1;
    bytes_.workspace =
        std::max<std::uint64_t>(bytes_.workspace, memory.kernel->workspace_bytes(needs_.micro_batch, cores));
  }
  network_inputs_.clear();
  const bool entry = std::any_of(layers_.begin(), layers_.end(), [&](const LayerMemory& memory) {
    return reads_network_input(network_->layers[static_cast<std::size_t>(memory.layer)]);
  });
  for (int slot = 0; entry && slot < needs_.slots.activations; ++slot)
    network_inputs_.push_back(
        {cutter.floats(device_->activation_floats(network_->input, needs_.micro_batch), bytes_.activations),
         network_->input, needs_.micro_batch});
}

void StageMemory::cut_parameters(Cutter& cutter, LayerMemory& memory) {
  const NetworkLayer& layer = network_->layers[static_cast<std::size_t>(memory.layer)];
  memory.versions.assign(static_cast<std::size_t>(needs_.versions), {});
  memory.gradients.clear();
  memory.states.clear();
  memory.staging.assign(needs_.training ? static_cast<std::size_t>(needs_.staging) : 0, {});
  for (const ParameterSpec& spec : layer.parameters) {
    const std::int64_t elements = spec.elements();
    const bool descended = spec.trained && needs_.training, first = replica_ == 0;
    const auto place = [&](bool wanted, std::uint64_t& account) {
      return ParameterView{wanted ? cutter.floats(elements, account) : nullptr, elements};
    };
    memory.versions[0].push_back(place(first, bytes_.parameters));
    for (std::size_t i = 1; i < memory.versions.size(); ++i)
      memory.versions[i].push_back(descended ? place(first, bytes_.parameters) : memory.versions[0].back());
    memory.gradients.push_back(place(descended && first, bytes_.gradients));
    for (auto& staging : memory.staging) staging.push_back(place(descended, bytes_.gradients));
    auto& states = memory.states.emplace_back();
    for (int i = 0; descended && first && i < needs_.optimizer_states; ++i)
      states.push_back(place(true, bytes_.optimizer));
  }
  memory.parameters = memory.versions[0];
  memory.statistics.clear();
  const std::int64_t floats = memory.kernel->statistics_floats();
  for (int i = 0; i < needs_.micro_batches; ++i)
    memory.statistics.push_back({cutter.floats(floats, bytes_.activations), static_cast<std::size_t>(floats)});
}

void StageMemory::cut_activations(Cutter& cutter, LayerMemory& memory) {
  const NetworkLayer& layer = network_->layers[static_cast<std::size_t>(memory.layer)];
  const std::int64_t images = needs_.micro_batch;
  const auto fill = [&](std::vector<Tensor>& tensors, int count) {
    tensors.clear();
    for (int i = 0; i < count; ++i)
      tensors.push_back({cutter.floats(device_->activation_floats(layer.output_shape, images), bytes_.activations),
                         layer.output_shape, images});
  };
  const bool recompute = needs_.recompute && needs_.training;
  const int again = recompute ? needs_.backward_slots + 1 : 0;
  fill(memory.outputs, memory.leaves ? needs_.slots.outputs : recompute ? 0 : needs_.slots.activations);
  fill(memory.recomputed_outputs, again);
  const std::size_t saved = memory.kernel->saved_bytes(images);
  memory.saved.clear();
  for (int i = 0; i < (recompute ? again : needs_.slots.activations); ++i)
    memory.saved.push_back({cutter.bytes(saved, bytes_.activations), saved});
}

void StageMemory::cut_gradients(Cutter& cutter, LayerMemory& memory) {
  const NetworkLayer& layer = network_->layers[static_cast<std::size_t>(memory.layer)];
  const auto fill = [&](std::vector<Tensor>& tensors, const Shape& shape, int count) {
    tensors.clear();
    for (int i = 0; i < count; ++i)
      tensors.push_back({cutter.floats(device_->activation_floats(shape, needs_.micro_batch), bytes_.activations),
                         shape, needs_.micro_batch});
  };
  memory.input_gradients.resize(layer.producers.size());
  for (std::size_t input = 0; input < layer.producers.size(); ++input) {
    const int producer = layer.producers[input];
    int count = 0;
    if (producer != network_input) {
      const NetworkLayer& from = network_->layers[static_cast<std::size_t>(producer)];
      if (needs_output_gradient(from)) count = from.stage == stage_ ? needs_.backward_slots : needs_.slots.gradients;
    }
    fill(memory.input_gradients[input], layer.input_shapes[input], count);
  }
  int count = 0;
  if (memory.layer == network_->output_layer)
    count = needs_.slots.activations;  // from the loss, in F, to the last action
  else if (layer.consumers.size() > 1)
    count = needs_.backward_slots;
  fill(memory.output_gradients, layer.output_shape, needs_output_gradient(layer) ? count : 0);
}

}  // namespace lenet_flow

#include "engine/pipeline/stage_memory.h"

#include <algorithm>
#include <stdexcept>

namespace lenet_flow {
namespace {

constexpr std::size_t alignment = 64;

bool reads_network_input(const NetworkLayer& layer) {
  return std::find(layer.producers.begin(), layer.producers.end(), network_input) != layer.producers.end();
}

/// A gradient that another stage reads, or that must last from I to W, needs a place a slot; others one in all.
bool leaves_stage(const Network& network, const NetworkLayer& layer, std::size_t input) {
  const int producer = layer.producers[input];
  return producer != network_input && network.layers[static_cast<std::size_t>(producer)].stage != layer.stage;
}

}  // namespace

bool needs_output_gradient(const NetworkLayer& layer) {
  return layer.needs_input_gradients || std::any_of(layer.parameters.begin(), layer.parameters.end(),
                                                    [](const ParameterSpec& spec) { return spec.trained; });
}

/// Cuts a block into aligned pieces. Without a block it only counts.
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
  std::size_t used() const { return used_; }

 private:
  std::byte* block_;
  std::size_t used_ = 0;
};

StageMemory::StageMemory(const Network& network, int stage, const MemoryNeeds& needs, Device& device)
    : network_(&network), needs_(needs), device_(&device) {
  for (const int number : network.stages[static_cast<std::size_t>(stage)].layers) {
    const NetworkLayer& layer = network.layers[static_cast<std::size_t>(number)];
    LayerMemory memory;
    memory.layer = number;
    memory.kernel = layer.layer->make_kernel(device.kind(), layer.name, layer.input_shapes, layer.output_shape);
    if (!memory.kernel)
      throw MissingError("layer '" + layer.name + "' (" + layer.type + ") has no kernel for device '" + layer.device +
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

void StageMemory::cut(Cutter& cutter) {
  bytes_ = {};
  for (LayerMemory& memory : layers_) {
    cut_parameters(cutter, memory);
    cut_activations(cutter, memory);
    const int cores = device_->kind() == DeviceKind::cpu ? static_cast<const CpuQueue&>(device_->queue()).cores() : 1;
    bytes_.workspace =
        std::max<std::uint64_t>(bytes_.workspace, memory.kernel->workspace_bytes(needs_.micro_batch, cores));
  }
  network_inputs_.clear();
  const bool entry = std::any_of(layers_.begin(), layers_.end(), [&](const LayerMemory& memory) {
    return reads_network_input(network_->layers[static_cast<std::size_t>(memory.layer)]);
  });
  if (!entry) return;
  for (int slot = 0; slot < needs_.in_flight; ++slot)
    network_inputs_.push_back(
        {cutter.floats(device_->activation_floats(network_->input, needs_.micro_batch), bytes_.activations),
         network_->input, needs_.micro_batch});
}

void StageMemory::cut_parameters(Cutter& cutter, LayerMemory& memory) {
  const NetworkLayer& layer = network_->layers[static_cast<std::size_t>(memory.layer)];
  memory.parameters.clear();
  memory.gradients.clear();
  memory.states.clear();
  memory.staging.assign(needs_.training ? static_cast<std::size_t>(needs_.held_back) + 1 : 0, {});
  for (const ParameterSpec& spec : layer.parameters) {
    const std::int64_t elements = spec.elements();
    const bool descended = spec.trained && needs_.training;
    const auto place = [&](bool wanted, std::uint64_t& account) {
      return ParameterView{wanted ? cutter.floats(elements, account) : nullptr, elements};
    };
    memory.parameters.push_back(place(true, bytes_.parameters));
    memory.gradients.push_back(place(descended, bytes_.gradients));
    for (auto& staging : memory.staging) staging.push_back(place(descended, bytes_.gradients));
    auto& states = memory.states.emplace_back();
    for (int i = 0; descended && i < needs_.optimizer_states; ++i) states.push_back(place(true, bytes_.optimizer));
  }
  memory.statistics.clear();
  const std::int64_t floats = memory.kernel->statistics_floats();
  for (int i = 0; i < needs_.micro_batches; ++i)
    memory.statistics.push_back({cutter.floats(floats, bytes_.activations), static_cast<std::size_t>(floats)});
}

void StageMemory::cut_activations(Cutter& cutter, LayerMemory& memory) {
  const NetworkLayer& layer = network_->layers[static_cast<std::size_t>(memory.layer)];
  const std::int64_t images = needs_.micro_batch;
  const auto activation = [&](const Shape& shape) {
    return Tensor{cutter.floats(device_->activation_floats(shape, images), bytes_.activations), shape, images};
  };
  memory.slots.assign(static_cast<std::size_t>(needs_.in_flight), {});
  const bool last = memory.layer == network_->output_layer;
  for (std::size_t i = 0; i < memory.slots.size(); ++i) {
    LayerSlot& slot = memory.slots[i];
    const LayerSlot& first = memory.slots[0];
    slot.inputs.resize(layer.producers.size());
    slot.output = activation(layer.output_shape);
    const std::size_t saved = memory.kernel->saved_bytes(images);
    slot.saved = {cutter.bytes(saved, bytes_.activations), saved};
    for (std::size_t input = 0; input < layer.producers.size(); ++input) {
      const int producer = layer.producers[input];
      const bool wanted = needs_.training && producer != network_input &&
                          needs_output_gradient(network_->layers[static_cast<std::size_t>(producer)]);
      const bool own = i == 0 || needs_.split_backward || leaves_stage(*network_, layer, input);
      slot.input_gradients.push_back(!wanted ? Tensor{nullptr, layer.input_shapes[input], images}
                                     : own   ? activation(layer.input_shapes[input])
                                             : first.input_gradients[input]);
    }
    if (!needs_.training || !needs_output_gradient(layer)) continue;
    if (last)  // lasts from the loss, in F, to B
      slot.output_gradient = activation(layer.output_shape);
    else if (layer.consumers.size() > 1)
      slot.output_gradient = i == 0 || needs_.split_backward ? activation(layer.output_shape) : first.output_gradient;
  }
}

void StageMemory::wire(const Network& network, std::span<StageMemory> stages) {
  std::vector<LayerMemory*> by_number(network.layers.size());
  for (StageMemory& stage : stages)
    for (LayerMemory& memory : stage.layers_) by_number[static_cast<std::size_t>(memory.layer)] = &memory;
  const auto memory_of = [&](int number) -> LayerMemory& { return *by_number[static_cast<std::size_t>(number)]; };
  for (StageMemory& stage : stages) {
    for (LayerMemory& memory : stage.layers_) {
      const NetworkLayer& layer = network.layers[static_cast<std::size_t>(memory.layer)];
      for (std::size_t input = 0; input < layer.producers.size(); ++input) {
        const int producer = layer.producers[input];
        const bool from_reader = producer == network_input;
        if (!from_reader) {
          const Device& other =
              stages[static_cast<std::size_t>(network.layers[static_cast<std::size_t>(producer)].stage)].device();
          if (other.kind() != stage.device().kind())
            throw std::logic_error("a link between devices of two kinds needs a transfer");
        }
        for (std::size_t i = 0; i < memory.slots.size(); ++i)
          memory.slots[i].inputs[input] = from_reader ? stage.network_inputs_[i] : memory_of(producer).slots[i].output;
      }
      if (!stage.needs_.training || !needs_output_gradient(layer) || memory.layer == network.output_layer) continue;
      for (std::size_t i = 0; i < memory.slots.size(); ++i) {
        LayerSlot& slot = memory.slots[i];
        std::vector<Tensor> parts;
        for (const auto& [consumer, input] : layer.consumers)
          parts.push_back(memory_of(consumer).slots[i].input_gradients[static_cast<std::size_t>(input)]);
        if (parts.size() == 1)
          slot.output_gradient = parts[0];
        else
          slot.gradient_parts = std::move(parts);
      }
    }
  }
}

}  // namespace lenet_flow

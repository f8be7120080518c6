#include "engine/pipeline/stage_memory.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "layers/fusion.h"

namespace lenet_flow {
namespace {

constexpr std::size_t alignment = 64;
static_assert(sizeof(float) == sizeof(std::uint32_t));

bool reads_network_input(const NetworkLayer& layer) {
  return std::find(layer.producers.begin(), layer.producers.end(), network_input) != layer.producers.end();
}

}  // namespace

bool needs_output_gradient(const NetworkLayer& layer) {
  return layer.needs_input_gradients || std::any_of(layer.parameters.begin(), layer.parameters.end(),
                                                    [](const ParameterSpec& spec) { return spec.trained; });
}

std::vector<ParameterSpec> chain_parameters(const Network& network, const LayerMemory& memory) {
  std::vector<ParameterSpec> all;
  for (const int number : memory.layers) {
    const auto& own = network.layers[static_cast<std::size_t>(number)].parameters;
    all.insert(all.end(), own.begin(), own.end());
  }
  return all;
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
  /// From a place in the block, as used() gave it, to here.
  std::span<float> floats_since(std::size_t begin) const {
    return {block_ ? reinterpret_cast<float*>(block_ + begin) : nullptr, (used_ - begin) / sizeof(float)};
  }
  std::size_t used() const { return used_; }

 private:
  std::byte* block_;
  std::size_t used_ = 0;
};

StageMemory::StageMemory(const Network& network, int stage, int replica, const MemoryNeeds& needs,
                         std::shared_ptr<const StagePlacement> placement)
    : network_(&network),
      stage_(stage),
      replica_(replica),
      needs_(needs),
      placement_(std::move(placement)),
      device_(placement_->devices[static_cast<std::size_t>(stage)][static_cast<std::size_t>(replica)]) {
  make_kernels();
  Cutter counter(nullptr);
  cut(counter);
}

/// A kernel for each layer, or for a chain of them where the device has one and nobody else reads what is between them.
void StageMemory::make_kernels() {
  const std::vector<int>& numbers = network_->stages[static_cast<std::size_t>(stage_)].layers;
  for (std::size_t begin = 0; begin < numbers.size();) {
    std::vector<FusionLayer> chain;
    for (std::size_t i = begin; i < numbers.size(); ++i) {
      const NetworkLayer& layer = network_layer(numbers[i]);
      if (layer.producers.size() != 1) break;
      if (i > begin) {
        const NetworkLayer& before = network_layer(numbers[i - 1]);
        if (layer.producers[0] != numbers[i - 1] || before.consumers.size() != 1 ||
            numbers[i - 1] == network_->output_layer)
          break;
      }
      chain.push_back({layer.layer.get(), layer.input_shapes[0], layer.output_shape});
    }
    const std::size_t count = std::max<std::size_t>(1, longest_fusion(device_->kind(), chain));
    LayerMemory& memory = layers_.emplace_back();
    std::size_t parameters = 0;
    for (std::size_t i = begin; i < begin + count; ++i) {
      memory.layers.push_back(numbers[i]);
      memory.first_parameter.push_back(parameters);
      parameters += network_layer(numbers[i]).parameters.size();
    }
    const NetworkLayer& layer = network_layer(memory.last());
    memory.leaves =
        std::any_of(layer.consumers.begin(), layer.consumers.end(),
                    [&](const std::pair<int, int>& consumer) { return network_layer(consumer.first).stage != stage_; });
    if (count > 1)
      memory.kernel = make_fused_kernel(device_->kind(), std::span(chain).first(count));
    else
      memory.kernel = layer.layer->make_kernel(device_->kind(), layer.name, layer.input_shapes, layer.output_shape);
    if (!memory.kernel)
      throw MissingError("layer '" + layer.name + "' (" + layer.type + ") has no kernel for device '" +
                         device_->name() + "'");
    begin += count;
  }
}

void StageMemory::allocate() {
  const std::size_t bytes = bytes_.sum() - bytes_.workspace;
  try {
    block_ = {device_->allocate(bytes), bytes};
    Cutter cutter(block_.data());
    cut(cutter);
    cut_host_facts();
  } catch (const std::bad_alloc& error) {
    throw InputError(
        fmt::format("stage '{}' on device '{}' needs {} bytes: {}; a smaller training.batch, pipeline.micro_batch or "
                    "pipeline.in_flight needs less",
                    network_->stages[static_cast<std::size_t>(stage_)].name, device_->name(), bytes, error.what()));
  }
}

void StageMemory::share_parameters(const StageMemory& first) {
  if (owns_parameters()) return;
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    layers_[i].parameters = first.layers_[i].parameters;
    layers_[i].versions = first.layers_[i].versions;
  }
}

bool StageMemory::owns_parameters() const {
  return replica_ == 0 || !share_memory(*device_, *placement_->devices[static_cast<std::size_t>(stage_)][0]);
}

int StageMemory::host_slots() const {
  const int slots = needs_.slots.activations;
  return (needs_.ahead + 2 * slots - 1) / slots * slots;
}

LayerMemory& StageMemory::layer(int number) {
  return *std::find_if(layers_.begin(), layers_.end(), [number](const LayerMemory& memory) {
    return std::find(memory.layers.begin(), memory.layers.end(), number) != memory.layers.end();
  });
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
  cut_parameters(cutter);
  cut_sums(cutter);
  for (LayerMemory& memory : layers_) {
    cut_activations(cutter, memory);
    if (needs_.training) cut_gradients(cutter, memory);
    const int cores = device_->kind() == DeviceKind::cpu ? static_cast<const CpuQueue&>(device_->queue()).cores() : 1;
    bytes_.workspace =
        std::max<std::uint64_t>(bytes_.workspace, memory.kernel->workspace_bytes(needs_.micro_batch, cores));
  }
  cut_mirrors(cutter);
  network_inputs_.clear();
  const bool entry = std::any_of(layers_.begin(), layers_.end(), [&](const LayerMemory& memory) {
    return reads_network_input(network_layer(memory.first()));
  });
  const int slots = asynchronous() ? host_slots() : needs_.slots.activations;
  for (int slot = 0; entry && slot < slots; ++slot)
    network_inputs_.push_back(
        {cutter.floats(device_->activation_floats(network_->input, needs_.micro_batch), bytes_.activations),
         network_->input, needs_.micro_batch});
}

/// Parameters, with their versions, and optimizer state.
void StageMemory::cut_parameters(Cutter& cutter) {
  const std::size_t begin = cutter.used();
  const bool owns = owns_parameters();
  for (LayerMemory& memory : layers_) {
    memory.versions.assign(static_cast<std::size_t>(needs_.versions), {});
    for (const ParameterSpec& spec : chain_parameters(*network_, memory)) {
      const auto place = [&] {
        return ParameterView{owns ? cutter.floats(spec.elements(), bytes_.parameters) : nullptr, spec.elements()};
      };
      memory.versions[0].push_back(place());
      for (std::size_t i = 1; i < memory.versions.size(); ++i)
        memory.versions[i].push_back(spec.trained && needs_.training ? place() : memory.versions[0].back());
    }
    memory.parameters = memory.versions[0];
  }
  parameters_ = cutter.floats_since(begin);
  for (LayerMemory& memory : layers_) {
    memory.states.clear();
    for (const ParameterSpec& spec : chain_parameters(*network_, memory)) {
      auto& states = memory.states.emplace_back();
      for (int i = 0; spec.trained && needs_.training && replica_ == 0 && i < needs_.optimizer_states; ++i)
        states.push_back({cutter.floats(spec.elements(), bytes_.optimizer), spec.elements()});
    }
  }
}

/// What is added up over a batch: the gradients, each micro-batch's own ones, and the statistics. A batch of one
/// micro-batch has its gradients at once.
void StageMemory::cut_sums(Cutter& cutter) {
  const bool alone = needs_.micro_batches == 1;
  const auto cut_all = [&](bool wanted, auto&& of) {
    const std::size_t begin = cutter.used();
    for (LayerMemory& memory : layers_) {
      std::vector<ParameterView>& views = of(memory);
      views.clear();
      for (const ParameterSpec& spec : chain_parameters(*network_, memory))
        views.push_back(
            {wanted && spec.trained && needs_.training ? cutter.floats(spec.elements(), bytes_.gradients) : nullptr,
             spec.elements()});
    }
    return cutter.floats_since(begin);
  };
  gradients_ = cut_all(
      replica_ == 0, [](LayerMemory & memory) -> auto& { return memory.gradients; });
  const std::size_t places = needs_.training ? static_cast<std::size_t>(needs_.staging) : 0;
  staging_.assign(places, gradients_);
  for (LayerMemory& memory : layers_) memory.staging.assign(places, memory.gradients);
  for (std::size_t place = 0; !alone && place < places; ++place)
    staging_[place] = cut_all(
        true, [&](LayerMemory & memory) -> auto& { return memory.staging[place]; });
  for (LayerMemory& memory : layers_) {
    memory.statistics.clear();
    const std::int64_t floats = memory.kernel->statistics_floats();
    for (int i = 0; i < needs_.micro_batches; ++i)
      memory.statistics.push_back({cutter.floats(floats, bytes_.activations), static_cast<std::size_t>(floats)});
  }
}

/// Copies of what stages in other memory write and this one reads.
void StageMemory::cut_mirrors(Cutter& cutter) {
  mirrors_.clear();
  const auto cut = [&](int layer, int input, const Shape& shape) {
    const auto stage = static_cast<std::size_t>(network_->layers[static_cast<std::size_t>(layer)].stage);
    if (static_cast<int>(stage) == stage_) return;
    for (std::size_t replica = 0; replica < placement_->devices[stage].size(); ++replica) {
      if (share_memory(*device_, *placement_->devices[stage][replica])) continue;
      if (mirror(layer, input, static_cast<int>(replica))) continue;
      Mirror& copy = mirrors_.emplace_back(Mirror{layer, input, static_cast<int>(replica), {}});
      const StageSlots& slots = placement_->slots[stage];
      for (int slot = 0; slot < (input < 0 ? slots.outputs : slots.gradients); ++slot)
        copy.slots.push_back({cutter.floats(device_->activation_floats(shape, needs_.micro_batch), bytes_.activations),
                              shape, needs_.micro_batch});
    }
  };
  const auto& replicas = placement_->devices[static_cast<std::size_t>(stage_)];
  staging_mirrors_.assign(replicas.size(), {});
  for (std::size_t replica = 1; replica_ == 0 && needs_.training && replica < replicas.size(); ++replica)
    for (int place = 0; place < needs_.staging && !share_memory(*device_, *replicas[replica]); ++place) {
      const std::size_t begin = cutter.used();
      cutter.floats(static_cast<std::int64_t>(gradients_.size()), bytes_.gradients);
      staging_mirrors_[replica].push_back(cutter.floats_since(begin));
    }
  for (const LayerMemory& memory : layers_) {
    const NetworkLayer &first = network_layer(memory.first()), &last = network_layer(memory.last());
    for (std::size_t i = 0; i < first.producers.size(); ++i)
      if (first.producers[i] != network_input) cut(first.producers[i], -1, first.input_shapes[i]);
    if (!needs_.training || !needs_output_gradient(last)) continue;
    for (const auto& [consumer, input] : last.consumers) cut(consumer, input, last.output_shape);
  }
}

const Mirror* StageMemory::mirror(int layer, int input, int replica) const {
  const auto found = std::find_if(mirrors_.begin(), mirrors_.end(), [&](const Mirror& mirror) {
    return mirror.layer == layer && mirror.input == input && mirror.replica == replica;
  });
  return found == mirrors_.end() ? nullptr : &*found;
}

void StageMemory::cut_host_facts() {
  host_facts_.clear();
  if (!asynchronous()) return;
  auto* device = static_cast<AsyncDevice*>(device_);
  const auto images = static_cast<std::size_t>(needs_.micro_batch);
  const NetworkLayer& output = network_->layers[static_cast<std::size_t>(network_->output_layer)];
  const std::size_t outputs =
      output.stage == stage_
          ? static_cast<std::size_t>(device_->activation_floats(output.output_shape, needs_.micro_batch))
          : 0;
  const auto slots = static_cast<std::size_t>(host_slots());
  auto* at =
      reinterpret_cast<std::uint32_t*>(device->allocate_host(slots * (4 * images + outputs) * sizeof(std::uint32_t)));
  const auto take = [&]<typename T>(std::span<T>& values, std::size_t count) {
    values = {reinterpret_cast<T*>(at), count};
    at += count;
  };
  for (std::size_t slot = 0; slot < slots; ++slot) {
    HostFacts& facts = host_facts_.emplace_back();
    take(facts.samples, images);
    take(facts.labels, images);
    take(facts.losses, images);
    take(facts.predicted, images);
    take(facts.outputs, outputs);
  }
}

void StageMemory::cut_activations(Cutter& cutter, LayerMemory& memory) {
  const NetworkLayer& layer = network_layer(memory.last());
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
  const NetworkLayer &first = network_layer(memory.first()), &last = network_layer(memory.last());
  const auto fill = [&](std::vector<Tensor>& tensors, const Shape& shape, int count) {
    tensors.clear();
    for (int i = 0; i < count; ++i)
      tensors.push_back({cutter.floats(device_->activation_floats(shape, needs_.micro_batch), bytes_.activations),
                         shape, needs_.micro_batch});
  };
  memory.input_gradients.resize(first.producers.size());
  for (std::size_t input = 0; input < first.producers.size(); ++input) {
    const int producer = first.producers[input];
    int count = 0;
    if (producer != network_input) {
      const NetworkLayer& from = network_->layers[static_cast<std::size_t>(producer)];
      if (needs_output_gradient(from)) count = from.stage == stage_ ? needs_.backward_slots : needs_.slots.gradients;
    }
    fill(memory.input_gradients[input], first.input_shapes[input], count);
  }
  int count = 0;
  if (memory.last() == network_->output_layer)
    count = needs_.slots.activations;  // from the loss, in F, to the last action
  else if (last.consumers.size() > 1)
    count = needs_.backward_slots;
  fill(memory.output_gradients, last.output_shape, needs_output_gradient(last) ? count : 0);
}

}  // namespace lenet_flow

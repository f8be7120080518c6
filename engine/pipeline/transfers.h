#pragma once

#include "engine/pipeline/run_state.h"

namespace lenet_flow {

/// Calls copy(from, to, floats) for every tensor that a token tells of and that lies in other memory than that of the
/// action that it is for: images (Cause::pixels), activations and gradients of activations (input), a replica's
/// gradients of parameters (gradients). `from` and `to` have the layouts of their devices. `micro_batch`: the token's,
/// or the one that it is `of`.
template <typename Copy>
void for_each_copy(const RunState& state, const MicroBatch& micro_batch, const Token& token, Copy&& copy) {
  const UnitState& unit = state.unit(token.stage, token.cause == Cause::gradients ? 0 : micro_batch.index);
  const StageMemory& memory = unit.worker.memory();
  const Device& device = memory.device();
  const auto copy_all = [&](std::span<const float> from, std::span<float> to) {
    copy(from.data(), to.data(), static_cast<std::int64_t>(to.size()));
  };
  if (token.cause == Cause::pixels) {
    if (device.kind() == DeviceKind::cpu) return;  // its forward takes them itself
    const Tensor& to = unit.worker.pixels_place(micro_batch);
    return copy(micro_batch.pixels.data(), to.data, micro_batch.images * to.shape.elements());
  }
  const UnitState& sender = state.unit(token.from, micro_batch.index);
  const StageMemory& there = sender.worker.memory();
  const ReplicaShare& share = state.stage(token.from).share;
  if (token.cause == Cause::gradients) {
    const auto& places = memory.staging_mirror(sender.replica);
    if (places.empty()) return;
    const auto place = static_cast<std::size_t>(micro_batch.index / share.replicas);
    copy_all(there.staging(place), places[place]);
    // Kernels for chains of layers have no statistics, so that both devices have these layers by themselves.
    const auto index = static_cast<std::size_t>(micro_batch.index);
    for (const LayerMemory& layer : memory.layers())
      if (!layer.statistics[index].empty())
        copy_all(there.layer(layer.last()).statistics[index], layer.statistics[index]);
    return;
  }
  const auto sequence = static_cast<std::size_t>(share.sequence(micro_batch.batch, micro_batch.index));
  for (const Mirror& mirror : memory.mirrors()) {
    const NetworkLayer& layer = state.network.layers[static_cast<std::size_t>(mirror.layer)];
    const bool forward = mirror.input < 0;
    if (layer.stage != token.from || mirror.replica != sender.replica || forward != (token.kind == ActionKind::forward))
      continue;
    const LayerMemory& written = there.layer(mirror.layer);
    const auto& slots = forward ? written.outputs : written.input_gradients[static_cast<std::size_t>(mirror.input)];
    const Tensor& to = mirror.slots[sequence % mirror.slots.size()];
    copy(slots[sequence % slots.size()].data, to.data, device.activation_floats(to.shape, micro_batch.images));
  }
}

/// The same during a pass, for new parameters (updated) too.
template <typename Copy>
void for_each_copy(const RunState& state, const Token& token, Copy&& copy) {
  if (token.cause == Cause::updated) {  // the micro-batch may not have been read yet
    const StageMemory& memory = state.unit(token.stage, state.pass.cut.index_of(token.micro_batch)).worker.memory();
    const std::span<const float> newest = state.unit(token.stage, 0).worker.memory().parameters();
    if (memory.owns_parameters())
      copy(newest.data(), memory.parameters().data(), static_cast<std::int64_t>(newest.size()));
    return;
  }
  if (token.cause != Cause::pixels && token.cause != Cause::input && token.cause != Cause::gradients) return;
  const auto number = static_cast<std::size_t>(token.cause == Cause::gradients ? token.of : token.micro_batch);
  for_each_copy(state, *state.ring[number % state.ring.size()], token, std::forward<Copy>(copy));
}

}  // namespace lenet_flow

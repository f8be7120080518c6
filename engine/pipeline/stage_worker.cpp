#include "engine/pipeline/stage_worker.h"

#include <algorithm>
#include <stdexcept>

namespace lenet_flow {

StageWorker::StageWorker(const Network& network, int stage, StageMemory& memory, std::span<std::byte> workspace,
                         const Optimizer* optimizer, std::uint64_t seed)
    : network_(network), memory_(memory), workspace_(workspace), optimizer_(optimizer), seed_(seed) {
  has_loss_ = network.layers[static_cast<std::size_t>(network.output_layer)].stage == stage;
  if (!memory.layers().empty()) {
    held_.assign(memory.layers()[0].staging.size(), -1);
    if (!memory.layers()[0].slots.empty())
      losses_.resize(static_cast<std::size_t>(memory.layers()[0].slots[0].output.images));
  }
}

const NetworkLayer& StageWorker::layer(int position) const {
  return network_.layers[static_cast<std::size_t>(memory_.layers()[static_cast<std::size_t>(position)].layer)];
}

LayerSlot& StageWorker::slot(int position, const MicroBatch& micro_batch) {
  auto& slots = memory_.layers()[static_cast<std::size_t>(position)].slots;
  return slots[static_cast<std::size_t>(micro_batch.number) % slots.size()];
}

KernelCall StageWorker::call(int position, const MicroBatch& micro_batch, Mode mode, std::uint32_t epoch) {
  LayerMemory& memory = memory_.layers()[static_cast<std::size_t>(position)];
  LayerSlot& at = slot(position, micro_batch);
  for (Tensor& tensor : at.inputs) tensor.images = micro_batch.images;
  for (Tensor& tensor : at.input_gradients) tensor.images = micro_batch.images;
  at.output.images = micro_batch.images;
  at.output_gradient.images = micro_batch.images;
  return {.queue = &memory_.device().queue(),
          .facts = {mode, seed_, epoch, micro_batch.samples},
          .images = micro_batch.images,
          .inputs = at.inputs,
          .output = at.output,
          .parameters = memory.parameters,
          .saved = at.saved,
          .statistics = memory.statistics[static_cast<std::size_t>(micro_batch.index)],
          .workspace = workspace_,
          .output_gradient = at.output_gradient,
          .input_gradients = at.input_gradients,
          .parameter_gradients = {}};
}

void StageWorker::take_pixels(const MicroBatch& micro_batch) {
  auto& inputs = memory_.network_inputs();
  Tensor to = inputs[static_cast<std::size_t>(micro_batch.number) % inputs.size()];
  to.images = micro_batch.images;
  memory_.device().write_activation(micro_batch.pixels.first(static_cast<std::size_t>(to.elements())), to);
}

void StageWorker::forward(int position, const MicroBatch& micro_batch, Mode mode, std::uint32_t epoch) {
  memory_.layers()[static_cast<std::size_t>(position)].kernel->forward(call(position, micro_batch, mode, epoch));
}

LossValues StageWorker::loss(const MicroBatch& micro_batch, Mode mode, std::span<std::int32_t> predicted) {
  const int position = layers() - 1;
  int at = position;
  while (memory_.layers()[static_cast<std::size_t>(at)].layer != network_.output_layer) --at;
  LayerSlot& last = slot(at, micro_batch);
  last.output.images = last.output_gradient.images = micro_batch.images;
  const auto losses = std::span(losses_).first(static_cast<std::size_t>(micro_batch.images));
  network_.loss->run(memory_.device().kind(),
                     {.queue = &memory_.device().queue(),
                      .output = last.output,
                      .labels = micro_batch.labels,
                      .batch_images = micro_batch.batch_images,
                      .output_gradient = mode == Mode::train ? last.output_gradient
                                                             : Tensor{nullptr, last.output.shape, micro_batch.images},
                      .losses = losses,
                      .predicted = predicted});
  LossValues values;
  for (std::size_t i = 0; i < losses.size(); ++i) {
    values.sum += losses[i];
    values.correct += predicted[i] == micro_batch.labels[i];
  }
  return values;
}

void StageWorker::input_gradients(int position, const MicroBatch& micro_batch, std::uint32_t epoch) {
  if (!needs_output_gradient(layer(position))) return;
  LayerSlot& at = slot(position, micro_batch);
  for (std::size_t i = 0; i < at.gradient_parts.size(); ++i)
    memory_.device().accumulate(at.gradient_parts[i].data, at.output_gradient.data,
                                memory_.device().activation_floats(at.output.shape, micro_batch.images), i == 0);
  if (!layer(position).needs_input_gradients) return;
  memory_.layers()[static_cast<std::size_t>(position)].kernel->input_gradients(
      call(position, micro_batch, Mode::train, epoch));
}

void StageWorker::parameter_gradients(int position, const MicroBatch& micro_batch, std::uint32_t epoch) {
  LayerMemory& memory = memory_.layers()[static_cast<std::size_t>(position)];
  if (std::none_of(memory.gradients.begin(), memory.gradients.end(),
                   [](const ParameterView& view) { return view.data != nullptr; }))
    return;
  KernelCall what = call(position, micro_batch, Mode::train, epoch);
  what.parameter_gradients = memory.staging[staging_place(micro_batch.index)];
  memory.kernel->parameter_gradients(what);
}

/// The place that holds, or shall hold, the gradients of a micro-batch of this batch.
std::size_t StageWorker::staging_place(int index) {
  const auto mine = std::find(held_.begin(), held_.end(), index);
  const auto at = mine != held_.end() ? mine : std::find(held_.begin(), held_.end(), -1);
  if (at == held_.end()) throw std::logic_error("the schedule holds back more gradients than were planned for");
  *at = index;
  return static_cast<std::size_t>(at - held_.begin());
}

void StageWorker::fold_gradients(const MicroBatch& micro_batch) {
  staging_place(micro_batch.index);
  for (auto ready = std::find(held_.begin(), held_.end(), next_fold_); ready != held_.end();
       ready = std::find(held_.begin(), held_.end(), next_fold_)) {
    const auto place = static_cast<std::size_t>(ready - held_.begin());
    for (LayerMemory& memory : memory_.layers())
      for (std::size_t i = 0; i < memory.gradients.size(); ++i)
        if (memory.gradients[i].data)
          memory_.device().accumulate(memory.staging[place][i].data, memory.gradients[i].data,
                                      memory.gradients[i].elements, next_fold_ == 0);
    *ready = -1;
    ++next_fold_;
  }
}

void StageWorker::update(int micro_batches, double learning_rate, std::uint64_t step) {
  if (next_fold_ != micro_batches) throw std::logic_error("an update before all gradients of its batch");
  next_fold_ = 0;
  for (LayerMemory& memory : memory_.layers()) {
    if (memory.kernel->statistics_floats() > 0) {
      for (int i = 0; i < micro_batches; ++i) {
        KernelCall fold;
        fold.queue = &memory_.device().queue();
        fold.parameters = memory.parameters;
        fold.statistics = memory.statistics[static_cast<std::size_t>(i)];
        fold.workspace = workspace_;
        memory.kernel->fold_statistics(fold);
      }
    }
    for (std::size_t i = 0; i < memory.gradients.size(); ++i)
      if (memory.gradients[i].data)
        optimizer_->update(memory_.device().kind(), {.queue = &memory_.device().queue(),
                                                     .learning_rate = learning_rate,
                                                     .step = step,
                                                     .parameter = memory.parameters[i],
                                                     .gradient = memory.gradients[i],
                                                     .states = memory.states[i]});
  }
}

void StageWorker::read_output(int position, const MicroBatch& micro_batch, std::span<float> values) const {
  const auto& slots = memory_.layers()[static_cast<std::size_t>(position)].slots;
  Tensor output = slots[static_cast<std::size_t>(micro_batch.number) % slots.size()].output;
  output.images = micro_batch.images;
  memory_.device().read_activation(output, values);
}

}  // namespace lenet_flow

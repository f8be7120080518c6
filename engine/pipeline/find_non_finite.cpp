#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "engine/pipeline/pipeline.h"
#include "engine/pipeline/reader.h"
#include "engine/pipeline/transfers.h"

namespace lenet_flow {
namespace {

bool all_finite(std::span<const float> values) {
  return std::all_of(values.begin(), values.end(), [](float value) { return std::isfinite(value); });
}

/// Sets up one micro-batch of a batch as the reader would, all but its pixels.
void set_micro_batch(const PassRequest& request, std::int64_t batch, int index, MicroBatch& micro_batch) {
  const BatchCut& cut = request.facts.cut;
  micro_batch.number = index;
  micro_batch.batch = batch;
  micro_batch.index = index;
  micro_batch.batch_images = cut.batch_images(batch);
  micro_batch.first = batch * cut.batch + index * cut.micro_batch;
  micro_batch.images = cut.micro_batch_images(batch, index);
  const auto samples = request.samples.subspan(static_cast<std::size_t>(micro_batch.first),
                                               static_cast<std::size_t>(micro_batch.images));
  micro_batch.samples.assign(samples.begin(), samples.end());
  micro_batch.labels.clear();
  for (const std::uint32_t sample : samples) micro_batch.labels.push_back(request.source->label(sample));
}

/// Waits for what the worker put on its device.
void finish(const StageWorker& worker) {
  Device& device = worker.memory().device();
  if (device.kind() != DeviceKind::cpu) static_cast<AsyncDevice&>(device).finish(worker.queue());
}

/// Brings a stage what stages in other memory have written for it.
void copy_inputs(const RunState& state, int stage, const MicroBatch& micro_batch) {
  for (const int from : state.stage(stage).from)
    for_each_copy(state, micro_batch, Token{micro_batch.number, 0, stage, from, ActionKind::forward, Cause::input},
                  [&](const float* at, float* to, std::int64_t floats) {
                    Device& here = state.unit(stage, micro_batch.index).worker.memory().device();
                    Device& there = state.unit(from, micro_batch.index).worker.memory().device();
                    auto& device = static_cast<AsyncDevice&>(here.kind() != DeviceKind::cpu ? here : there);
                    device.copy(device.copies_in(), at, to, floats);
                    device.finish(device.copies_in());
                  });
}

/// Runs a stage forward, layer by layer. Returns what first gave numbers that are not finite, or an empty text.
std::string first_non_finite(StageWorker& worker, const MicroBatch& micro_batch, const PassFacts& facts) {
  std::vector<float> values;
  std::string found;
  worker.memory().device().run_host([&] {
    worker.begin_forward(micro_batch, facts.mode);
    if (worker.reads_network_input()) worker.take_pixels(micro_batch);
    for (int position = 0; position < worker.layers() && found.empty(); ++position) {
      worker.forward(position, micro_batch, facts.mode, facts.epoch);
      finish(worker);
      values.resize(static_cast<std::size_t>(micro_batch.images * worker.layer(position).output_shape.elements()));
      worker.read_output(position, micro_batch, values);
      if (!all_finite(values)) found = fmt::format("layer '{}'", worker.name(position));
    }
    if (!found.empty() || !worker.has_loss()) return;
    std::vector<std::int32_t> predicted(static_cast<std::size_t>(micro_batch.images));
    worker.loss(micro_batch, facts.mode);
    finish(worker);
    if (!std::isfinite(worker.loss_values(micro_batch, predicted).sum))
      found = "the loss itself, of outputs that are finite but very large,";
  });
  return found;
}

}  // namespace

/// Runs a batch's micro-batches forward one after another, looking at every layer's output, and says where the first
/// number that is not finite appears. The parameters are still those from before the batch: no stage updates before
/// the batch's last loss was known. Ends the lanes: their threads hold the devices.
std::string Pipeline::find_non_finite(const PassRequest& request, std::int64_t batch) {
  reader_.reset();
  state_.lanes.clear();
  const BatchCut& cut = request.facts.cut;
  const std::string place = request.facts.batch_text(batch);
  for (const auto& unit : state_.units)
    if (unit->worker.has_loss() && unit->asynchronous())
      return fmt::format(
          "the loss is not a finite number in {}; device '{}' has gone on to later batches before that was known: run "
          "on "
          "CPU devices (--map {}=cpu) to be told which layer's output it was",
          place, unit->worker.memory().device().name(),
          network_.stages[static_cast<std::size_t>(unit->stage)].devices[static_cast<std::size_t>(unit->replica)]);
  for (const NamedTensor& tensor : parameters(false))
    if (!all_finite(tensor.values))
      return fmt::format(
          "the loss is not a finite number in {}: parameter '{}' was so already after the update before; "
          "a smaller learning rate may help",
          place, tensor.name);
  MicroBatch micro_batch;
  const auto elements = static_cast<std::size_t>(network_.input.elements());
  std::vector<float> pixels(static_cast<std::size_t>(cut.micro_batch) * elements);
  micro_batch.pixels = pixels;
  for (int index = 0; index < cut.micro_batches(batch); ++index) {
    const std::string part = fmt::format("micro-batch {} of {}", index + 1, place);
    set_micro_batch(request, batch, index, micro_batch);
    for (std::size_t i = 0; i < micro_batch.samples.size(); ++i) {
      const auto image = std::span(pixels).subspan(i * elements, elements);
      request.source->write(micro_batch.samples[i], request.facts.epoch, request.facts.mode == Mode::train, image);
      if (!all_finite(image))
        return fmt::format("image {} of the data has values that are not finite, in {}", micro_batch.samples[i], part);
    }
    for (std::size_t number = 0; number < state_.stages.size(); ++number) {
      StageWorker& worker = state_.unit(static_cast<int>(number), index).worker;
      copy_inputs(state_, static_cast<int>(number), micro_batch);
      const std::string found = first_non_finite(worker, micro_batch, request.facts);
      if (!found.empty())
        return fmt::format("the loss is not a finite number: it first went wrong in {} (stage '{}', device '{}'), {}",
                           found, network_.stages[number].name, worker.memory().device().name(), part);
    }
  }
  return fmt::format("the loss is not a finite number in {}, though all layers' outputs are when run again", place);
}

}  // namespace lenet_flow

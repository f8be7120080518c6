#include <fmt/format.h>

#include <cmath>

#include "engine/pipeline/pipeline.h"
#include "engine/pipeline/reader.h"

namespace lenet_flow {
namespace {

bool all_finite(std::span<const float> values) {
  for (const float value : values)
    if (!std::isfinite(value)) return false;
  return true;
}

}  // namespace

/// Runs a batch's micro-batches forward one after another, looking at every layer's output, and says where the first
/// number that is not finite appears. The parameters are still those from before the batch: no stage updates before
/// the batch's last loss was known. Ends the lanes: their threads hold the devices.
std::string Pipeline::find_non_finite(const PassRequest& request, std::int64_t batch) {
  reader_.reset();
  state_.lanes.clear();
  const BatchCut& cut = request.facts.cut;
  const std::string place = fmt::format("batch {} of epoch {}", batch + 1, request.facts.epoch);
  for (const NamedTensor& tensor : parameters(false))
    if (!all_finite(tensor.values))
      return fmt::format(
          "the loss is not a finite number in {}: parameter '{}' was so already after the update before; "
          "a smaller learning rate may help",
          place, tensor.name);
  MicroBatch micro_batch;
  std::vector<float> pixels(static_cast<std::size_t>(cut.micro_batch * network_.input.elements())), values;
  for (int index = 0; index < cut.micro_batches(batch); ++index) {
    const std::string part = fmt::format("micro-batch {} of {}", index + 1, place);
    micro_batch.number = index;
    micro_batch.batch = batch;
    micro_batch.index = index;
    micro_batch.batch_images = cut.batch_images(batch);
    micro_batch.first = batch * cut.batch + index * cut.micro_batch;
    micro_batch.images = std::min(cut.micro_batch, micro_batch.batch_images - index * cut.micro_batch);
    micro_batch.samples.clear();
    const auto elements = static_cast<std::size_t>(network_.input.elements());
    for (std::int64_t i = 0; i < micro_batch.images; ++i) {
      const std::uint32_t sample = request.samples[static_cast<std::size_t>(micro_batch.first + i)];
      micro_batch.samples.push_back(sample);
      const auto image = std::span(pixels).subspan(static_cast<std::size_t>(i) * elements, elements);
      request.source->write(sample, request.facts.epoch, request.facts.mode == Mode::train, image);
      if (!all_finite(image))
        return fmt::format("image {} of the data has values that are not finite, in {}", sample, part);
    }
    micro_batch.pixels = pixels;
    for (std::size_t number = 0; number < state_.stages.size(); ++number) {
      StageWorker& worker = state_.stages[number]->worker;
      std::string found;
      worker.memory().device().run_host([&] {
        if (worker.reads_network_input()) worker.take_pixels(micro_batch);
        for (int position = 0; position < worker.layers() && found.empty(); ++position) {
          worker.forward(position, micro_batch, request.facts.mode, request.facts.epoch);
          values.resize(static_cast<std::size_t>(micro_batch.images * worker.layer(position).output_shape.elements()));
          worker.read_output(position, micro_batch, values);
          if (!all_finite(values)) found = worker.layer(position).name;
        }
      });
      if (!found.empty())
        return fmt::format(
            "the loss is not a finite number: it first went wrong in layer '{}' (stage '{}', device '{}'), {}", found,
            network_.stages[number].name, network_.stages[number].device, part);
    }
  }
  return fmt::format("the loss is not a finite number in {}, though all layers' outputs are", place);
}

}  // namespace lenet_flow

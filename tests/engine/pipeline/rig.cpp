#include "tests/engine/pipeline/rig.h"

#include <fmt/format.h>

#include <cstring>
#include <numeric>

#include "devices/random.h"
#include "engine/training/session.h"
#include "layers/registry.h"

namespace lenet_flow::test {

MadeUpImages::MadeUpImages(const Shape& shape, std::int64_t images, std::int32_t classes, std::uint64_t seed)
    : shape_(shape), images_(images), classes_(classes), seed_(seed) {}

std::int32_t MadeUpImages::label(std::int64_t index) const {
  return static_cast<std::int32_t>(RandomStream(seed_, 0, static_cast<std::uint32_t>(index), "label")
                                       .below(0, static_cast<std::uint32_t>(classes_)));
}

void MadeUpImages::read(std::int64_t index, std::span<std::uint8_t> pixels) const {
  const RandomStream noise(seed_, 0, static_cast<std::uint32_t>(index), "noise");
  const RandomStream pattern(seed_, 1, static_cast<std::uint32_t>(label(index)), "pattern");
  for (std::size_t i = 0; i < pixels.size(); ++i)
    pixels[i] = static_cast<std::uint8_t>((pattern.below(i, 200) + noise.below(i, 56)));
}

Rig::Rig(const std::string& graph, std::int64_t images, const Shape& shape, std::int32_t classes)
    : file_(parse_graph_file(graph, "test.json")) {
  images_ = std::make_unique<MadeUpImages>(shape, images, classes, 7);
  source_ = std::make_unique<ImageSource>(*images_, file_.data.preprocess, file_.data.augment, file_.training.seed);
  network_ = std::make_unique<Network>(make_network(file_, source_->shape(), classes));
  optimizer_ = find_optimizer_type(file_.training.optimizer.type)->make(file_.training.optimizer.attributes);
  std::vector<std::string> warnings;
  devices_ = std::make_unique<DeviceSet>(file_, warnings);
  samples_.resize(static_cast<std::size_t>(images));
  std::iota(samples_.begin(), samples_.end(), 0u);
}

PipelineOptions Rig::options(const std::string& schedule) const {
  PipelineOptions options;
  options.schedule = find_schedule_type(schedule.empty() ? file_.pipeline.schedule : schedule);
  options.batch = file_.training.batch;
  options.micro_batch = file_.pipeline.micro_batch;
  options.training = file_.training.mode == Mode::train;
  options.seed = file_.training.seed;
  if (schedule.empty()) {
    options.in_flight = file_.pipeline.in_flight;
    options.link_capacity = file_.pipeline.link_capacity;
  }
  return options;
}

std::unique_ptr<Pipeline> Rig::pipeline(const PipelineOptions& options) const {
  auto pipeline =
      std::make_unique<Pipeline>(*network_, *devices_, options, options.training ? optimizer_.get() : nullptr);
  pipeline->set_parameters(initial_parameters(*network_, file_.training.seed), "");
  return pipeline;
}

PassRequest Rig::request(std::int64_t images, Mode mode) const {
  PassRequest request;
  request.facts.mode = mode;
  request.facts.epoch = 1;
  request.facts.cut = {images, file_.training.batch, std::min(file_.pipeline.micro_batch, file_.training.batch)};
  request.facts.first_step = 1;
  const double rate = optimizer_->learning_rate();
  request.facts.learning_rate = [rate](std::int64_t) { return rate; };
  request.source = source_.get();
  request.samples = std::span(samples_).first(static_cast<std::size_t>(images));
  return request;
}

Rig::Outcome Rig::train(const PipelineOptions& options, std::int64_t images, int passes) const {
  const auto pipeline = this->pipeline(options);
  PassRequest request = this->request(images);
  for (int pass = 0; pass < passes; ++pass) {
    request.facts.epoch = static_cast<std::uint32_t>(pass + 1);
    pipeline->run(request);
    request.facts.first_step += static_cast<std::uint64_t>(request.facts.cut.batches());
  }
  return {pipeline->parameters(true), pipeline->losses()};
}

std::string difference(const Rig::Outcome& a, const Rig::Outcome& b) {
  if (a.parameters.size() != b.parameters.size()) return "another number of parameters";
  for (std::size_t i = 0; i < a.parameters.size(); ++i) {
    const NamedTensor &mine = a.parameters[i], &theirs = b.parameters[i];
    if (mine.name != theirs.name || mine.values.size() != theirs.values.size())
      return "parameters of other names or sizes";
    for (std::size_t j = 0; j < mine.values.size(); ++j)
      if (std::memcmp(&mine.values[j], &theirs.values[j], sizeof(float)) != 0)
        return fmt::format("{}[{}]: {} and {}", mine.name, j, mine.values[j], theirs.values[j]);
  }
  if (a.losses.size() != b.losses.size()) return "another number of losses";
  for (std::size_t i = 0; i < a.losses.size(); ++i)
    if (!(a.losses[i] == b.losses[i])) return fmt::format("loss of micro-batch {}", i);
  return "";
}

std::string graph_text(const std::string& devices, const std::string& layers, const std::string& pipeline,
                       std::int64_t batch, const std::string& optimizer) {
  return fmt::format(R"({{
  "version": 1, "name": "test",
  "devices": {{ {} }},
  "data": {{ "set": "made-up" }},
  "layers": [ {} ],
  "loss": {{ "type": "softmax_cross_entropy" }},
  "training": {{ "epochs": 1, "batch": {}, "seed": 3, "optimizer": {} }},
  "pipeline": {{ {} }}
}})",
                     devices, layers, batch, optimizer, pipeline);
}

}  // namespace lenet_flow::test

#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/data/image_source.h"
#include "engine/graph/network.h"
#include "engine/pipeline/pipeline.h"

namespace lenet_flow::test {

/// Labelled images of 8 bits, made of a seed: pixels that have to do with the label, so that there is something to
/// learn.
class MadeUpImages final : public Dataset {
 public:
  MadeUpImages(const Shape& shape, std::int64_t images, std::int32_t classes, std::uint64_t seed);
  std::int64_t size() const override { return images_; }
  std::int32_t label(std::int64_t index) const override;
  Shape shape(std::int64_t) const override { return shape_; }
  void read(std::int64_t index, std::span<std::uint8_t> pixels) const override;

 private:
  Shape shape_;
  std::int64_t images_;
  std::int32_t classes_;
  std::uint64_t seed_;
};

/// Everything that a pipeline needs, from the text of a graph file.
class Rig {
 public:
  /// Images of 1 x 12 x 12 in 4 classes, unless said otherwise.
  explicit Rig(const std::string& graph, std::int64_t images = 40, const Shape& shape = {1, 12, 12},
               std::int32_t classes = 4);

  const GraphFile& file() const { return file_; }
  const Network& network() const { return *network_; }
  const DeviceSet& devices() const { return *devices_; }
  const Optimizer& optimizer() const { return *optimizer_; }
  const ImageSource& source() const { return *source_; }

  /// The file's own options, or with another schedule.
  PipelineOptions options(const std::string& schedule = {}) const;
  /// A pipeline with first parameters drawn from the file's seed.
  std::unique_ptr<Pipeline> pipeline(const PipelineOptions& options) const;
  /// A pass of training (or inference) over the first images, in their order.
  PassRequest request(std::int64_t images, Mode mode = Mode::train) const;

  /// What is left after passes over the first images: parameters, optimizer state, and the last pass's losses.
  struct Outcome {
    std::vector<NamedTensor> parameters;
    std::vector<LossValues> losses;
  };
  Outcome train(const PipelineOptions& options, std::int64_t images, int passes = 1) const;

 private:
  GraphFile file_;
  std::unique_ptr<MadeUpImages> images_;
  std::unique_ptr<ImageSource> source_;
  std::unique_ptr<Network> network_;
  std::unique_ptr<Optimizer> optimizer_;
  std::unique_ptr<DeviceSet> devices_;
  std::vector<std::uint32_t> samples_;
};

/// The first difference in a bit, in words; empty where there is none.
std::string difference(const Rig::Outcome& a, const Rig::Outcome& b);

/// A file's text from its parts: `devices` and `layers` as JSON, `pipeline` the fields of that section.
std::string graph_text(const std::string& devices, const std::string& layers, const std::string& pipeline,
                       std::int64_t batch = 8,
                       const std::string& optimizer = R"({"type": "sgd", "learning_rate": 0.05, "momentum": 0.9})");

}  // namespace lenet_flow::test

#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/data/dataset.h"
#include "engine/graph/graph_file.h"

namespace lenet_flow {

/// Turns image numbers of one split into network inputs: decode, preprocess, augment. Made once a run; write() is
/// called from several threads at once and allocates nothing that outlives the call.
class ImageSource {
 public:
  /// Throws InputError where a step does not fit (a crop larger than the image, mean with the wrong number of channels,
  /// images of mixed sizes with no resize). `augment` applies in training only.
  ImageSource(const Dataset& dataset, std::span<const TypedEntry> preprocess, std::span<const TypedEntry> augment,
              std::uint64_t seed);

  /// Shape of every image after all steps: the network's input.
  const Shape& shape() const { return shape_; }
  std::int64_t size() const;
  std::int32_t label(std::int64_t index) const;

  /// Writes image `index` as floats, [channel][row][column]: shape().elements() of them. Where `training`, augments
  /// with random numbers keyed by (seed, epoch, index, step).
  void write(std::int64_t index, std::uint32_t epoch, bool training, std::span<float> pixels) const;

 private:
  struct Step;
  const Dataset& dataset_;
  std::uint64_t seed_;
  Shape shape_;
  std::vector<Step> steps_;
};

/// The order of the images in an epoch: [0, count) as it is, or shuffled by Fisher-Yates with random numbers keyed by
/// (seed, epoch).
std::vector<std::uint32_t> epoch_order(std::int64_t count, bool shuffle, std::uint64_t seed, std::uint32_t epoch);

}  // namespace lenet_flow

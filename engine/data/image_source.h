#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/data/dataset.h"
#include "engine/graph/graph_file.h"

namespace lenet_flow {

class ImageStep;

/// Turns image numbers of one split into network inputs: decode, preprocess, augment. Made once a run; write() is
/// called from several threads at once and allocates nothing that outlives the call.
class ImageSource {
 public:
  /// Throws InputError where a step does not fit (a crop larger than the image, mean with the wrong number of channels,
  /// images of mixed sizes with no resize). `augment` applies in training only.
  ImageSource(const Dataset& dataset, std::span<const TypedEntry> preprocess, std::span<const TypedEntry> augment,
              std::uint64_t seed);
  ~ImageSource();
  ImageSource(const ImageSource&) = delete;
  ImageSource& operator=(const ImageSource&) = delete;

  /// Shape of every image after all steps: the network's input.
  const Shape& shape() const { return shape_; }
  std::int64_t size() const;
  std::int32_t label(std::int64_t index) const;

  /// Writes image `index` as floats, [channel][row][column]: shape().elements() of them. Where `training`, augments
  /// with random numbers keyed by (seed, epoch, index, step).
  void write(std::int64_t index, std::uint32_t epoch, bool training, std::span<float> pixels) const;

 private:
  /// The shape that an image has after all steps; grows scratch_floats_ to what lies between them.
  Shape check_steps(const Shape& image);

  const Dataset& dataset_;
  std::uint64_t seed_;
  Shape shape_;
  float first_scale_ = 1;  ///< the first step, where it is a scale: done while bytes become floats
  std::vector<std::unique_ptr<ImageStep>> steps_;
  std::size_t preprocess_steps_ = 0;          ///< the first ones; the others augment
  std::vector<std::string> augment_streams_;  ///< names of their random numbers: "augment.shift0"
  std::int64_t scratch_floats_ = 0;           ///< of the largest image between two steps; 0 where no step moves pixels
};

/// The order of the images in an epoch: [0, count) as it is, or shuffled by Fisher-Yates with random numbers keyed by
/// (seed, epoch).
std::vector<std::uint32_t> epoch_order(std::int64_t count, bool shuffle, std::uint64_t seed, std::uint32_t epoch);

}  // namespace lenet_flow

#pragma once

#include <memory>
#include <string>

#include "devices/random.h"
#include "devices/shape.h"
#include "engine/graph/graph_file.h"

namespace lenet_flow {

/// One preprocessing or augmentation step. Images are floats, [channel][row][column]. Used by several threads at once.
class ImageStep {
 public:
  /// `field` is its place in the graph file ("data.augment[0]"), for messages.
  ImageStep(const TypedEntry& entry, std::string field) : where_(entry.where), field_(std::move(field)) {}
  virtual ~ImageStep() = default;

  /// The shape that an image of `shape` has after the step. Throws InputError where the step does not fit it.
  virtual Shape output_shape(const Shape& shape) const { return shape; }
  /// True where a pixel's new value depends on that pixel alone, so that `from` may be `to`.
  virtual bool in_place() const { return false; }
  /// `shape` is that of `from`; `to` holds output_shape(shape).elements() floats.
  virtual void apply(const float* from, const Shape& shape, float* to, const RandomStream& random) const = 0;

 protected:
  [[noreturn]] void fail(const std::string& attribute, const std::string& message) const;

 private:
  SourceLocation where_;
  std::string field_;
};

/// The step of a checked entry of "preprocess" or "augment" (engine/graph/entry_types.cpp lists them). Throws
/// std::logic_error for a type that has no code here.
std::unique_ptr<ImageStep> make_preprocess_step(const TypedEntry& entry, std::string field);
std::unique_ptr<ImageStep> make_augment_step(const TypedEntry& entry, std::string field);

}  // namespace lenet_flow

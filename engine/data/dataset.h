#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "devices/shape.h"

namespace lenet_flow {

/// One split of a data set: labelled images of 8 bits. Reading is safe from several threads at once.
class Dataset {
 public:
  virtual ~Dataset() = default;
  virtual std::int64_t size() const = 0;
  /// Class number of image `index`, in [0, classes).
  virtual std::int32_t label(std::int64_t index) const = 0;
  /// Shape of image `index` before preprocessing (folders may mix sizes; other readers have one).
  virtual Shape shape(std::int64_t index) const = 0;
  /// Writes shape(index).elements() bytes, [channel][row][column], RGB order. Throws InputError naming the file and
  /// the image where it cannot be decoded.
  virtual void read(std::int64_t index, std::span<std::uint8_t> pixels) const = 0;
};

/// A data set as found on this machine.
struct DataSet {
  std::string name;      ///< "mnist"
  std::string location;  ///< folder or archive it was read from
  std::vector<std::string> class_names;
  std::unique_ptr<Dataset> train, test;
};

}  // namespace lenet_flow

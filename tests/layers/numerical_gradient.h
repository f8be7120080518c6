#pragma once

#include <vector>

#include "tests/layers/layer_case.h"

namespace lenet_flow::test {

/// The reference of a case as a scalar function: the sum of (output gradient * output), whose gradient is what I and W
/// must give; and its derivatives by central differences in double precision.
class NumericalGradient {
 public:
  NumericalGradient(const LayerCase& layer_case, const LayerData& data, const Reference& reference);

  /// The reference's output.
  const Values& output() const { return output_; }
  std::size_t inputs() const { return inputs_.size(); }

  /// d / d(element) of input `which`; of parameter which - inputs() beyond.
  double derivative(std::size_t which, std::size_t element);
  /// The derivative along `direction`, one number an element.
  double derivative(std::size_t which, const std::vector<double>& direction);

 private:
  Values run() const;
  double scalar() const;
  std::vector<double>& numbers(std::size_t which);

  const LayerCase& layer_case_;
  const LayerData& data_;
  const Reference& reference_;
  MicroBatchFacts facts_;
  std::vector<Values> inputs_;
  std::vector<std::vector<double>> parameters_;
  Values output_;
};

}  // namespace lenet_flow::test

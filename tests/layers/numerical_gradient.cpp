#include "tests/layers/numerical_gradient.h"

namespace lenet_flow::test {
namespace {

/// Well below half the distance between two numbers of make_data(); its square, the error, far below float's.
constexpr double step = 5e-5;

}  // namespace

NumericalGradient::NumericalGradient(const LayerCase& layer_case, const LayerData& data, const Reference& reference)
    : layer_case_(layer_case), data_(data), reference_(reference), facts_{data.mode, 99, 3, data.samples} {
  for (std::size_t i = 0; i < layer_case.inputs.size(); ++i) {
    inputs_.emplace_back(layer_case.inputs[i], layer_case.images);
    inputs_.back().data.assign(data.inputs[i].begin(), data.inputs[i].end());
  }
  for (const auto& parameter : data.parameters) parameters_.emplace_back(parameter.begin(), parameter.end());
  output_ = run();
}

Values NumericalGradient::run() const {
  return reference_.forward({layer_case_.attributes, inputs_, parameters_, facts_, layer_name});
}

double NumericalGradient::scalar() const {
  const Values output = run();
  double sum = 0;
  for (std::size_t i = 0; i < output.data.size(); ++i)
    sum += output.data[i] * static_cast<double>(data_.output_gradient[i]);
  return sum;
}

std::vector<double>& NumericalGradient::numbers(std::size_t which) {
  return which < inputs_.size() ? inputs_[which].data : parameters_[which - inputs_.size()];
}

double NumericalGradient::derivative(std::size_t which, std::size_t element) {
  double& number = numbers(which)[element];
  const double before = number;
  number = before + step;
  const double above = scalar();
  number = before - step;
  const double below = scalar();
  number = before;
  return (above - below) / (2 * step);
}

double NumericalGradient::derivative(std::size_t which, const std::vector<double>& direction) {
  std::vector<double>& all = numbers(which);
  const std::vector<double> before = all;
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = before[i] + step * direction[i];
  const double above = scalar();
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = before[i] - step * direction[i];
  const double below = scalar();
  all = before;
  return (above - below) / (2 * step);
}

}  // namespace lenet_flow::test

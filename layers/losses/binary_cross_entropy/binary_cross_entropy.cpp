#include <cmath>

#include "layers/losses/rows.h"
#include "layers/registry.h"

namespace lenet_flow {
namespace {

constexpr const char* name = "binary_cross_entropy";

/// log(1 + e^x), without overflow.
double softplus(double x) { return (x < 0 ? 0.0 : x) + std::log1p(std::exp(-std::abs(x))); }
/// 1 / (1 + e^-x).
double logistic(double x) { return 1.0 / (1.0 + std::exp(-x)); }

/// For a logit z and p = 1 / (1 + e^-z): -log p for class 1 and -log(1 - p) for class 0, which are softplus(-z) and
/// softplus(z) (PyTorch's BCEWithLogitsLoss). d/dz = p - label. In double precision. Class 1 is predicted where
/// p >= 0.5, that is z >= 0.
class BinaryCrossEntropy final : public Loss {
 public:
  std::string mismatch(const Shape& output, std::int64_t classes) const override {
    if (classes != 2)
      return std::string(name) + " tells 2 classes apart, and the data have " + std::to_string(classes) +
             "; softmax_cross_entropy takes any number";
    if (output != Shape{1})
      return std::string(name) + " needs 1 output (the logit of the second class), got " + output.text();
    return {};
  }

  void run(DeviceKind kind, const LossCall& call) const override {
    const auto batch = static_cast<double>(call.batch_images);
    for_each_row(kind, call, name, [&](const LossRow& row, std::int32_t& predicted) {
      const double z = row.output[0];
      predicted = z >= 0 ? 1 : 0;
      const bool second = row.label == 1;
      if (!row.gradient.empty()) row.gradient[0] = static_cast<float>((second ? -logistic(-z) : logistic(z)) / batch);
      return softplus(second ? -z : z);
    });
  }

  void probabilities(std::span<const float> output, std::span<float> probabilities) const override {
    probabilities[0] = static_cast<float>(logistic(-static_cast<double>(output[0])));
    probabilities[1] = static_cast<float>(logistic(output[0]));
  }
};

}  // namespace

LossType binary_cross_entropy_type() {
  return {.name = name,
          .help = "cross-entropy of two classes from one output, the logit; a sigmoid right before it is folded in",
          .attributes = {},
          .make = [](const Attributes&) { return std::make_unique<BinaryCrossEntropy>(); }};
}

}  // namespace lenet_flow

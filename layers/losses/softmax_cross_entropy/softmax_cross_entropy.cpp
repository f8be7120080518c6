#include <cmath>

#include "layers/losses/rows.h"
#include "layers/registry.h"

namespace lenet_flow {
namespace {

constexpr const char* name = "softmax_cross_entropy";

/// For logits z of K classes and p = softmax z: -sum_c t_c log p_c, with the target t_c = s / K, and 1 - s more at the
/// label (s: label_smoothing; Szegedy et al., CVPR 2016), as PyTorch's CrossEntropyLoss has it. d/dz = p - t.
/// In double precision, with sums in the order of the classes.
class SoftmaxCrossEntropy final : public Loss {
 public:
  explicit SoftmaxCrossEntropy(double smoothing) : smoothing_(smoothing) {}

  std::string mismatch(const Shape& output, std::int64_t classes) const override {
    if (output == Shape{classes}) return {};
    return std::string(name) + " needs one output a class: " + std::to_string(classes) + ", got " + output.text();
  }

  void run(DeviceKind kind, const LossCall& call) const override {
    const auto batch = static_cast<double>(call.batch_images);
    for_each_row(kind, call, name, [&](const LossRow& row, std::int32_t& predicted) {
      const Normalizer by(row.output);
      predicted = by.largest_class;
      const double spread = smoothing_ / static_cast<double>(row.output.size());
      for (std::size_t c = 0; c < row.gradient.size(); ++c) {
        const double target = spread + (c == static_cast<std::size_t>(row.label) ? 1.0 - smoothing_ : 0.0);
        row.gradient[c] = static_cast<float>((by.probability(row.output[c]) - target) / batch);
      }
      double loss = (1.0 - smoothing_) * by.minus_log(row.output[static_cast<std::size_t>(row.label)]);
      if (smoothing_ > 0)
        for (const float z : row.output) loss += spread * by.minus_log(z);
      return loss;
    });
  }

  void probabilities(std::span<const float> output, std::span<float> probabilities) const override {
    const Normalizer by(output);
    for (std::size_t c = 0; c < output.size(); ++c) probabilities[c] = static_cast<float>(by.probability(output[c]));
  }

 private:
  /// What makes probabilities of logits: the largest one, and the sum of e^(z - largest) over the others, apart from
  /// the largest's own 1, so that the loss of a sure and right answer keeps its digits. NaN passes by the largest but
  /// not by the sum.
  struct Normalizer {
    explicit Normalizer(std::span<const float> logits)
        : largest_class(first_largest(logits)), largest(logits[static_cast<std::size_t>(largest_class)]) {
      for (std::size_t c = 0; c < logits.size(); ++c)
        if (c != static_cast<std::size_t>(largest_class)) others += std::exp(logits[c] - largest);
    }
    double probability(double z) const { return std::exp(z - largest) / (1.0 + others); }
    double minus_log(double z) const { return std::log1p(others) + (largest - z); }

    std::int32_t largest_class;
    double largest, others = 0.0;
  };

  double smoothing_;
};

}  // namespace

LossType softmax_cross_entropy_type() {
  return {.name = name,
          .help = "cross-entropy of the softmax of the outputs (logits); one output a class",
          .attributes = {{.name = "label_smoothing",
                          .kind = AttributeKind::number,
                          .help = "share of the target that is spread over all classes",
                          .default_value = 0.0,
                          .maximum = 1}},
          .make = [](const Attributes& attributes) {
            return std::make_unique<SoftmaxCrossEntropy>(attributes.number("label_smoothing"));
          }};
}

}  // namespace lenet_flow

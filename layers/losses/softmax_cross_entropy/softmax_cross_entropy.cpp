#include "layers/losses/softmax_cross_entropy/softmax_cross_entropy.h"

#include "layers/registry.h"

namespace lenet_flow {
namespace {

constexpr const char* name = "softmax_cross_entropy";

class SoftmaxCrossEntropy final : public Loss {
 public:
  explicit SoftmaxCrossEntropy(double smoothing) : smoothing_(smoothing) {}

  std::string mismatch(const Shape& output, std::int64_t classes) const override {
    if (output == Shape{classes}) return {};
    return std::string(name) + " needs one output a class: " + std::to_string(classes) + ", got " + output.text();
  }

  void run(DeviceKind kind, const LossCall& call) const override {
    const SoftmaxCrossEntropyRule rule{smoothing_, static_cast<double>(call.batch_images)};
    if (kind == DeviceKind::cuda) return require_cuda(run_softmax_cross_entropy_cuda, name)(call, rule);
    run_rows(call, rule);
  }

  void probabilities(std::span<const float> output, std::span<float> probabilities) const override {
    const SoftmaxNormalizer by(output);
    for (std::size_t c = 0; c < output.size(); ++c) probabilities[c] = static_cast<float>(by.probability(output[c]));
  }

 private:
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

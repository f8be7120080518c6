#include "layers/losses/binary_cross_entropy/binary_cross_entropy.h"

#include "layers/registry.h"

namespace lenet_flow {
namespace {

constexpr const char* name = "binary_cross_entropy";

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
    const BinaryCrossEntropyRule rule{static_cast<double>(call.batch_images)};
    if (kind == DeviceKind::cuda) return require_cuda(run_binary_cross_entropy_cuda, name)(call, rule);
    run_rows(call, rule);
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

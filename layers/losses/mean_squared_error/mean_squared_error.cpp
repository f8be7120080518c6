#include <algorithm>

#include "layers/losses/rows.h"
#include "layers/registry.h"

namespace lenet_flow {
namespace {

constexpr const char* name = "mean_squared_error";

/// For K outputs y and the target t, 1 at the label and 0 elsewhere: (1/K) sum (y - t)^2, so that the batch's loss is
/// the mean over images and outputs (PyTorch's MSELoss). d/dy = 2 (y - t) / K. One output is enough for two classes:
/// its target is the label. In double precision, the sum in the order of the outputs.
class MeanSquaredError final : public Loss {
 public:
  std::string mismatch(const Shape& output, std::int64_t classes) const override {
    if (output == Shape{classes} || (output == Shape{1} && classes == 2)) return {};
    return std::string(name) + " needs one output a class: " + std::to_string(classes) +
           (classes == 2 ? " (or 1)" : "") + ", got " + output.text();
  }

  void run(DeviceKind kind, const LossCall& call) const override {
    const auto batch = static_cast<double>(call.batch_images);
    for_each_row(kind, call, name, [&](const LossRow& row, std::int32_t& predicted) {
      const bool one = row.output.size() == 1;
      predicted = one ? (row.output[0] >= 0.5f ? 1 : 0) : first_largest(row.output);
      const auto outputs = static_cast<double>(row.output.size());
      double sum = 0;
      for (std::size_t k = 0; k < row.output.size(); ++k) {
        const double target = one ? row.label : (k == static_cast<std::size_t>(row.label) ? 1.0 : 0.0);
        const double difference = row.output[k] - target;
        sum += difference * difference;
        if (!row.gradient.empty()) row.gradient[k] = static_cast<float>(2.0 * difference / (outputs * batch));
      }
      return sum / outputs;
    });
  }

  void probabilities(std::span<const float> output, std::span<float> probabilities) const override {
    if (output.size() == 1) {
      probabilities[0] = 1.0f - output[0];
      probabilities[1] = output[0];
    } else {
      std::copy(output.begin(), output.end(), probabilities.begin());
    }
  }
};

}  // namespace

LossType mean_squared_error_type() {
  return {.name = name,
          .help = "mean, over images and outputs, of the squared distance to 1 at the label and 0 elsewhere",
          .attributes = {},
          .make = [](const Attributes&) { return std::make_unique<MeanSquaredError>(); }};
}

}  // namespace lenet_flow

#include "layers/losses/mean_squared_error/mean_squared_error.h"

#include <algorithm>

#include "layers/registry.h"

namespace lenet_flow {
namespace {

constexpr const char* name = "mean_squared_error";

class MeanSquaredError final : public Loss {
 public:
  std::string mismatch(const Shape& output, std::int64_t classes) const override {
    if (output == Shape{classes} || (output == Shape{1} && classes == 2)) return {};
    return std::string(name) + " needs one output a class: " + std::to_string(classes) +
           (classes == 2 ? " (or 1)" : "") + ", got " + output.text();
  }

  void run(DeviceKind kind, const LossCall& call) const override {
    const MeanSquaredErrorRule rule{static_cast<double>(call.batch_images)};
    if (kind == DeviceKind::cuda) return require_cuda(run_mean_squared_error_cuda, name)(call, rule);
    run_rows(call, rule);
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

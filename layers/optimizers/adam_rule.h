#pragma once

#include <cmath>
#include <span>
#include <string>

#include "devices/cuda_code.h"
#include "devices/host_device.h"
#include "layers/optimizers/common.h"

namespace lenet_flow {

/// Adam (Kingma and Ba, arXiv:1412.6980) as torch.optim.Adam, for one element w with gradient g in step t:
///   m += (1 - beta1)(g - m);  v = beta2 v + (1 - beta2) g^2
///   w -= learning_rate / (1 - beta1^t)  m / (sqrt v / sqrt(1 - beta2^t) + eps)
/// by numbers that are the same for all elements, computed in double precision. The same code on every kind of device.
struct AdamFactors {
  float step_size, root_correction, first_share, second_kept, second_share, eps, gradient_decay, kept;

  LENET_FLOW_HOST_DEVICE void step(float& w, float gradient, float& m, float& v) const {
    const float g = gradient + gradient_decay * w;
    m += first_share * (g - m);
    v = second_kept * v + second_share * (g * g);
    w = kept * w - step_size * (m / (std::sqrt(v) / root_correction + eps));
  }
};

LENET_FLOW_CUDA_CODE void update_adam_cuda(std::span<const UpdateCall> calls, const char* name, const AdamFactors& by);

/// adam and adamw. Weight decay comes before the step, in one of two places.
class AdamRule : public Optimizer {
 public:
  enum class Decay {
    gradient,   ///< g += weight_decay w (Adam)
    parameter,  ///< w -= learning_rate weight_decay w (AdamW; Loshchilov and Hutter, arXiv:1711.05101)
  };

  AdamRule(const char* name, Decay decay, const Attributes& attributes);
  /// Learning rate, beta1, beta2, eps, weight_decay.
  static std::vector<AttributeSpec> attributes(double weight_decay, std::string weight_decay_help);

  std::vector<std::string> state_names() const override { return {"first_moment", "second_moment"}; }
  double learning_rate() const override { return learning_rate_; }
  double flops() const override { return weight_decay_ != 0 ? 14 : 12; }
  void update_all(DeviceKind kind, std::span<const UpdateCall> calls) const override;

 private:
  AdamFactors factors(const UpdateCall& call) const;

  const char* name_;
  Decay decay_;
  double learning_rate_, beta1_, beta2_, eps_, weight_decay_;
};

}  // namespace lenet_flow

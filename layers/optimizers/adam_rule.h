#pragma once

#include <string>
#include <vector>

#include "layers/optimizers/common.h"

namespace lenet_flow {

/// Adam (Kingma and Ba, arXiv:1412.6980) as torch.optim.Adam, for a parameter w with gradient g in step t:
///   m += (1 - beta1)(g - m);  v = beta2 v + (1 - beta2) g^2
///   w -= learning_rate / (1 - beta1^t)  m / (sqrt v / sqrt(1 - beta2^t) + eps)
/// Weight decay comes first, in one of two places.
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
  void update(DeviceKind kind, const UpdateCall& call) const override;

 private:
  const char* name_;
  Decay decay_;
  double learning_rate_, beta1_, beta2_, eps_, weight_decay_;
};

}  // namespace lenet_flow

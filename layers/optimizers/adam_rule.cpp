#include "layers/optimizers/adam_rule.h"

namespace lenet_flow {
namespace {

/// The factors come by value, so that no store into a parameter can change them and the loop goes into vectors.
void descend(float* w, const float* gradient, float* m, float* v, std::int64_t count, AdamFactors by) {
  for (std::int64_t i = 0; i < count; ++i) by.step(w[i], gradient[i], m[i], v[i]);
}

}  // namespace

AdamRule::AdamRule(const char* name, Decay decay, const Attributes& attributes)
    : name_(name),
      decay_(decay),
      learning_rate_(attributes.number("learning_rate")),
      beta1_(attributes.number("beta1")),
      beta2_(attributes.number("beta2")),
      eps_(attributes.number("eps")),
      weight_decay_(attributes.number("weight_decay")) {}

std::vector<AttributeSpec> AdamRule::attributes(double weight_decay, std::string weight_decay_help) {
  const auto beta = [](const char* name, const char* help, double value) {
    return AttributeSpec{.name = name,
                         .kind = AttributeKind::number,
                         .help = help,
                         .default_value = value,
                         .maximum = 1,
                         .open_maximum = true};
  };
  return {learning_rate_attribute(0.001),
          beta("beta1", "share of the last mean gradient that is kept", 0.9),
          beta("beta2", "share of the last mean squared gradient that is kept", 0.999),
          {.name = "eps",
           .kind = AttributeKind::number,
           .help = "added to the divisor, against division by zero",
           .default_value = 1e-8,
           .maximum = 1,
           .open_minimum = true},
          weight_decay_attribute(weight_decay, std::move(weight_decay_help))};
}

AdamFactors AdamRule::factors(const UpdateCall& call) const {
  const auto t = static_cast<double>(call.step);
  return {
      .step_size = static_cast<float>(call.learning_rate / (1.0 - std::pow(beta1_, t))),
      .root_correction = static_cast<float>(std::sqrt(1.0 - std::pow(beta2_, t))),
      .first_share = static_cast<float>(1.0 - beta1_),
      .second_kept = static_cast<float>(beta2_),
      .second_share = static_cast<float>(1.0 - beta2_),
      .eps = static_cast<float>(eps_),
      .gradient_decay = static_cast<float>(decay_ == Decay::gradient ? weight_decay_ : 0.0),
      .kept = static_cast<float>(decay_ == Decay::parameter ? 1.0 - call.learning_rate * weight_decay_ : 1.0),
  };
}

void AdamRule::update_all(DeviceKind kind, std::span<const UpdateCall> calls) const {
  if (calls.empty()) return;
  const AdamFactors by = factors(calls[0]);
  if (kind == DeviceKind::cuda) return require_cuda(update_adam_cuda, name_)(calls, name_, by);
  for (const UpdateCall& call : calls)
    for_each_part(call, [&](std::int64_t begin, std::int64_t end) {
      descend(call.parameter.data + begin, call.gradient.data + begin, call.states[0].data + begin,
              call.states[1].data + begin, end - begin, by);
    });
}

}  // namespace lenet_flow

#include "layers/optimizers/sgd/sgd.h"

#include "layers/optimizers/common.h"
#include "layers/registry.h"

namespace lenet_flow {
namespace {

constexpr const char* name = "sgd";

/// The rule comes by value, so that no store into a parameter can change it and the loops go into vectors.
void descend(float* w, const float* gradient, std::int64_t count, SgdRule by) {
  for (std::int64_t i = 0; i < count; ++i) by.step(w[i], gradient[i]);
}

void descend(float* w, const float* gradient, float* v, std::int64_t count, SgdRule by) {
  for (std::int64_t i = 0; i < count; ++i) by.step(w[i], gradient[i], v[i]);
}

class Sgd final : public Optimizer {
 public:
  explicit Sgd(const Attributes& attributes)
      : learning_rate_(attributes.number("learning_rate")),
        momentum_(static_cast<float>(attributes.number("momentum"))),
        weight_decay_(static_cast<float>(attributes.number("weight_decay"))),
        nesterov_(attributes.boolean("nesterov")) {}

  std::vector<std::string> state_names() const override {
    if (momentum_ == 0) return {};
    return {"momentum"};
  }
  double learning_rate() const override { return learning_rate_; }
  double flops() const override {
    return 2 + (weight_decay_ != 0 ? 2 : 0) + (momentum_ != 0 ? 2 + (nesterov_ ? 2 : 0) : 0);
  }

  void update_all(DeviceKind kind, std::span<const UpdateCall> calls) const override {
    if (calls.empty()) return;
    const SgdRule by{static_cast<float>(calls[0].learning_rate), momentum_, weight_decay_, nesterov_};
    if (kind == DeviceKind::cuda) return require_cuda(update_sgd_cuda, name)(calls, by);
    for (const UpdateCall& call : calls)
      for_each_part(call, [&](std::int64_t begin, std::int64_t end) {
        float* w = call.parameter.data + begin;
        const float* g = call.gradient.data + begin;
        if (momentum_ != 0)
          descend(w, g, call.states[0].data + begin, end - begin, by);
        else
          descend(w, g, end - begin, by);
      });
  }

 private:
  double learning_rate_;
  float momentum_, weight_decay_;
  bool nesterov_;
};

}  // namespace

OptimizerType sgd_type() {
  return {.name = name,
          .help = "stochastic gradient descent, with momentum and Nesterov's variant",
          .attributes = {learning_rate_attribute(0.01),
                         {.name = "momentum",
                          .kind = AttributeKind::number,
                          .help = "share of the last step that goes on",
                          .default_value = 0.0,
                          .maximum = 1,
                          .open_maximum = true},
                         {.name = "nesterov",
                          .kind = AttributeKind::boolean,
                          .help = "look ahead along the momentum (changes nothing where momentum is 0)",
                          .default_value = false},
                         weight_decay_attribute(0.0, "this times the parameter is added to its gradient")},
          .make = [](const Attributes& attributes) { return std::make_unique<Sgd>(attributes); }};
}

}  // namespace lenet_flow

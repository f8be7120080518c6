#include "layers/optimizers/common.h"
#include "layers/registry.h"

namespace lenet_flow {
namespace {

constexpr const char* name = "sgd";

/// The numbers of an update that are the same for all elements. Passed by value, so that no store into a parameter can
/// change them and the loop goes into vectors.
struct Factors {
  float learning_rate, momentum, weight_decay;
  bool nesterov;
};

void descend(float* w, const float* gradient, std::int64_t count, Factors by) {
  for (std::int64_t i = 0; i < count; ++i) {
    const float g = by.weight_decay != 0 ? gradient[i] + by.weight_decay * w[i] : gradient[i];
    w[i] -= by.learning_rate * g;
  }
}

void descend(float* w, const float* gradient, float* v, std::int64_t count, Factors by) {
  for (std::int64_t i = 0; i < count; ++i) {
    const float g = by.weight_decay != 0 ? gradient[i] + by.weight_decay * w[i] : gradient[i];
    v[i] = by.momentum * v[i] + g;
    w[i] -= by.learning_rate * (by.nesterov ? g + by.momentum * v[i] : v[i]);
  }
}

/// Stochastic gradient descent as torch.optim.SGD (dampening 0), for a parameter w with gradient g:
///   g += weight_decay w;  v = momentum v + g;  w -= learning_rate (nesterov ? g + momentum v : v)
/// v starts at zero, so the first v is g. Without momentum there is no v: w -= learning_rate g.
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

  void update(DeviceKind kind, const UpdateCall& call) const override {
    const Factors by{static_cast<float>(call.learning_rate), momentum_, weight_decay_, nesterov_};
    for_each_part(kind, call, name, [&](std::int64_t begin, std::int64_t end) {
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

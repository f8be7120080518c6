#include "layers/optimizers/adam_rule.h"
#include "layers/registry.h"

namespace lenet_flow {

OptimizerType adam_type() {
  return {.name = "adam",
          .help = "steps scaled by running means of the gradient and of its square",
          .attributes = AdamRule::attributes(0.0, "this times the parameter is added to its gradient"),
          .make = [](const Attributes& attributes) {
            return std::make_unique<AdamRule>("adam", AdamRule::Decay::gradient, attributes);
          }};
}

}  // namespace lenet_flow

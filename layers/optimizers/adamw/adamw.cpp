#include "layers/optimizers/adam_rule.h"
#include "layers/registry.h"

namespace lenet_flow {

OptimizerType adamw_type() {
  return {.name = "adamw",
          .help = "adam with weight decay apart from the gradient",
          .attributes = AdamRule::attributes(0.01, "this times the learning rate is the parameter's share lost a step"),
          .make = [](const Attributes& attributes) {
            return std::make_unique<AdamRule>("adamw", AdamRule::Decay::parameter, attributes);
          }};
}

}  // namespace lenet_flow

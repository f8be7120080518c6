#include "layers/registry.h"

#include <vector>

#include "registry_list.h"

namespace lenet_flow {
namespace {

template <typename Type>
const Type* find(std::span<const Type> types, std::string_view name) {
  for (const Type& type : types)
    if (type.name == name) return &type;
  return nullptr;
}

}  // namespace

std::span<const LayerType> layer_types() {
  static const std::vector<LayerType> types{LENET_FLOW_LAYER_TYPES};
  return types;
}

std::span<const LossType> loss_types() {
  static const std::vector<LossType> types{LENET_FLOW_LOSS_TYPES};
  return types;
}

std::span<const OptimizerType> optimizer_types() {
  static const std::vector<OptimizerType> types{LENET_FLOW_OPTIMIZER_TYPES};
  return types;
}

const LayerType* find_layer_type(std::string_view name) { return find(layer_types(), name); }
const LossType* find_loss_type(std::string_view name) { return find(loss_types(), name); }
const OptimizerType* find_optimizer_type(std::string_view name) { return find(optimizer_types(), name); }

}  // namespace lenet_flow

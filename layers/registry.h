#pragma once

#include <span>
#include <string_view>

#include "layers/layer.h"
#include "layers/loss.h"
#include "layers/optimizer.h"

namespace lenet_flow {

/// Every registered type, in the order of layers/meson.build. The lists live as long as the program.
std::span<const LayerType> layer_types();
std::span<const LossType> loss_types();
std::span<const OptimizerType> optimizer_types();

/// The type of that name, or null.
const LayerType* find_layer_type(std::string_view name);
const LossType* find_loss_type(std::string_view name);
const OptimizerType* find_optimizer_type(std::string_view name);

}  // namespace lenet_flow

#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "layers/layer.h"

namespace lenet_flow {

/// The attribute with which conv2d and dense choose how their weights start ("initializer"; default "pytorch").
AttributeSpec initializer_attribute();
/// "he_normal" -> Initializer::he_normal. `name` is one of initializer_attribute().choices.
Initializer initializer_of(std::string_view name);

/// "bias" (true), as conv2d and dense have it.
AttributeSpec bias_attribute();
/// The bias of `outputs` outputs beside `weight`: drawn like the weight where that starts as PyTorch's (PyTorch draws
/// both from the weight's fan_in), otherwise zeros.
ParameterSpec bias_spec(std::int64_t outputs, const ParameterSpec& weight);

/// Fills `values` (spec.elements() floats, standard layout) with first values drawn from the stream
/// (seed, 0, 0, full_name): the same whatever the placement. `full_name` is "conv1.weight".
void initialize(const ParameterSpec& spec, std::string_view full_name, std::uint64_t seed, std::span<float> values);

}  // namespace lenet_flow

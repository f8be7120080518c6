#pragma once

#include <stdexcept>
#include <string>
#include <vector>

#include "layers/optimizer.h"

namespace lenet_flow {

inline AttributeSpec learning_rate_attribute(double value) {
  return {.name = "learning_rate",
          .kind = AttributeKind::number,
          .help = "size of a step, before the learning-rate schedule",
          .default_value = value,
          .maximum = 1000,
          .open_minimum = true};
}

inline AttributeSpec weight_decay_attribute(double value, std::string help) {
  return {.name = "weight_decay",
          .kind = AttributeKind::number,
          .help = std::move(help),
          .default_value = value,
          .maximum = 1000};
}

/// The CPU code of an optimizer: calls body(begin, end) over parts of the parameter's elements. Throws
/// std::logic_error for a `kind` that the optimizer has no code for.
template <typename Body>
void for_each_part(DeviceKind kind, const UpdateCall& call, const char* optimizer, Body&& body) {
  if (kind != DeviceKind::cpu) throw std::logic_error(std::string(optimizer) + " has no code for this kind of device");
  constexpr std::int64_t grain = 8192;
  call.cpu().parallel_for(call.parameter.elements, grain,
                          [&](std::int64_t begin, std::int64_t end, int) { body(begin, end); });
}

}  // namespace lenet_flow

#pragma once

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

/// The CPU code of an optimizer: calls body(begin, end) over parts of the parameter's elements.
template <typename Body>
void for_each_part(const UpdateCall& call, Body&& body) {
  constexpr std::int64_t grain = 8192;
  call.cpu().parallel_for(call.parameter.elements, grain,
                          [&](std::int64_t begin, std::int64_t end, int) { body(begin, end); });
}

}  // namespace lenet_flow

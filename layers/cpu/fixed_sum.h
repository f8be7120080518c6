#pragma once

#include <cstdint>

namespace lenet_flow {

/// The sum of term(0) .. term(count - 1) in double precision, in an order that depends on `count` alone: eight
/// partial sums of every eighth term, added pairwise. The compiler can put them into vector lanes as they stand.
template <typename Term>
double fixed_sum(std::int64_t count, Term&& term) {
  double lane[8] = {};
  std::int64_t i = 0;
  for (; i + 8 <= count; i += 8)
    for (int j = 0; j < 8; ++j) lane[j] += static_cast<double>(term(i + j));
  for (int j = 0; i < count; ++i, ++j) lane[j] += static_cast<double>(term(i));
  return ((lane[0] + lane[4]) + (lane[2] + lane[6])) + ((lane[1] + lane[5]) + (lane[3] + lane[7]));
}

/// The sum of `count` floats.
inline double fixed_sum(const float* values, std::int64_t count) {
  return fixed_sum(count, [values](std::int64_t i) { return values[i]; });
}

}  // namespace lenet_flow

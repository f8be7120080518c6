#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <random>
#include <span>
#include <utility>
#include <vector>

#include "devices/work_queue.h"
#include "layers/attributes.h"

namespace lenet_flow::test {

inline constexpr float infinity = std::numeric_limits<float>::infinity();
inline constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN();

/// The attributes that a graph file gives which says only `given`. Every other attribute must have a default.
inline Attributes attributes(std::span<const AttributeSpec> specs,
                             std::initializer_list<std::pair<const char*, AttributeValue>> given = {}) {
  Attributes result;
  for (const AttributeSpec& spec : specs) result.set(spec.name, spec.default_value);
  for (const auto& [name, value] : given) result.set(name, value);
  return result;
}

/// A queue that cuts a loop into pieces of one grain and runs them last to first, each as another core's.
class CuttingQueue final : public CpuQueue {
 public:
  int cores() const override { return 3; }

 protected:
  void run_pieces(std::int64_t count, std::int64_t grain, void* context, Piece piece) override {
    for (std::int64_t begin = (count - 1) / grain * grain; begin >= 0; begin -= grain)
      piece(context, begin, std::min(count, begin + grain), static_cast<int>(begin / grain % 3));
  }
};

/// `count` normal numbers with deviation `scale`.
inline std::vector<float> normal_values(std::size_t count, float scale, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0.0f, scale);
  std::vector<float> values(count);
  for (float& value : values) value = normal(random);
  return values;
}

inline bool same_bits(std::span<const float> a, std::span<const float> b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i)
    if (std::bit_cast<std::uint32_t>(a[i]) != std::bit_cast<std::uint32_t>(b[i])) return false;
  return true;
}

}  // namespace lenet_flow::test

#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <string_view>

#include "devices/host_device.h"

namespace lenet_flow {

/// Counter-based random numbers: Philox4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel Random Numbers: As Easy as
/// 1, 2, 3", SC 2011). A number is a pure function of its key, so any thread, device or replica that asks for the
/// same (seed, epoch, sample, name, element) gets the same bits, in any order.
class RandomStream {
 public:
  /// `name` tells streams with equal numbers apart: a layer's name, "shuffle", "augment.flip", ...
  RandomStream(std::uint64_t seed, std::uint32_t epoch, std::uint32_t sample, std::string_view name)
      : seed_(seed), epoch_(epoch), sample_(sample), name_(hash(name)) {}

  /// The stream of another sample, all else being the same.
  LENET_FLOW_HOST_DEVICE RandomStream of_sample(std::uint32_t sample) const {
    RandomStream other = *this;
    other.sample_ = sample;
    return other;
  }

  /// The `element`-th word of 32 random bits. `element` < 2^34.
  std::uint32_t bits(std::uint64_t element) const {
    return block(static_cast<std::uint32_t>(element >> 2))[element & 3];
  }

  /// Uniform in [0, 1): 24 bits, so every value is exact in a float.
  float uniform(std::uint64_t element) const { return static_cast<float>(bits(element) >> 8) * 0x1p-24f; }

  /// Uniform whole number in [0, bound), bound >= 1: multiply-and-shift (Lemire 2019) without its rejection; the
  /// bias is below bound / 2^32.
  std::uint32_t below(std::uint64_t element, std::uint32_t bound) const {
    return static_cast<std::uint32_t>((static_cast<std::uint64_t>(bits(element)) * bound) >> 32);
  }

  /// Standard normal (Box-Muller, in double precision, from words 2 element and 2 element + 1).
  float normal(std::uint64_t element) const {
    const double radius = std::sqrt(-2.0 * std::log((bits(2 * element) + 0.5) * 0x1p-32));
    const double angle = 6.283185307179586 * (bits(2 * element + 1) * 0x1p-32);
    return static_cast<float>(radius * std::cos(angle));
  }

  /// The four words of counter block `index`: elements 4 index .. 4 index + 3.
  LENET_FLOW_HOST_DEVICE std::array<std::uint32_t, 4> block(std::uint32_t index) const {
    std::array<std::uint32_t, 4> counter{index, sample_, epoch_, name_};
    std::uint32_t key0 = static_cast<std::uint32_t>(seed_), key1 = static_cast<std::uint32_t>(seed_ >> 32);
    for (int round = 0; round < 10; ++round) {
      const std::uint64_t product0 = std::uint64_t{0xD2511F53} * counter[0];
      const std::uint64_t product1 = std::uint64_t{0xCD9E8D57} * counter[2];
      counter = {static_cast<std::uint32_t>(product1 >> 32) ^ counter[1] ^ key0, static_cast<std::uint32_t>(product1),
                 static_cast<std::uint32_t>(product0 >> 32) ^ counter[3] ^ key1, static_cast<std::uint32_t>(product0)};
      key0 += 0x9E3779B9;
      key1 += 0xBB67AE85;
    }
    return counter;
  }

 private:
  /// FNV-1a, 32 bits.
  static std::uint32_t hash(std::string_view text) {
    std::uint32_t value = 2166136261u;
    for (const char c : text) value = (value ^ static_cast<unsigned char>(c)) * 16777619u;
    return value;
  }

  std::uint64_t seed_;
  std::uint32_t epoch_, sample_, name_;
};

}  // namespace lenet_flow

#include "engine/training/learning_rate.h"

#include <doctest/doctest.h>

#include <cmath>

using namespace lenet_flow;

namespace {

TypedEntry schedule(const std::string& type, double warmup = 0) {
  TypedEntry entry;
  entry.type = type;
  entry.attributes.set("warmup", warmup);
  if (type == "step") {
    entry.attributes.set("every", std::int64_t{2});
    entry.attributes.set("factor", 0.1);
  }
  if (type == "cosine" || type == "linear") entry.attributes.set("minimum", 0.02);
  return entry;
}

}  // namespace

TEST_CASE("constant stays what the optimizer says") {
  const LearningRate rate(schedule("constant"), 0.05, 3, 10);
  for (const std::uint64_t update : {0, 1, 29, 30, 1000}) CHECK(rate.at(update) == 0.05);
}

TEST_CASE("step multiplies after every so many whole epochs") {
  const LearningRate rate(schedule("step"), 0.5, 6, 10);
  CHECK(rate.at(0) == 0.5);
  CHECK(rate.at(19) == 0.5);
  CHECK(rate.at(20) == doctest::Approx(0.05).epsilon(1e-15));
  CHECK(rate.at(39) == doctest::Approx(0.05).epsilon(1e-15));
  CHECK(rate.at(40) == doctest::Approx(0.005).epsilon(1e-15));
}

TEST_CASE("cosine and linear go from base to minimum over the run") {
  const LearningRate cosine(schedule("cosine"), 0.1, 4, 10), linear(schedule("linear"), 0.1, 4, 10);
  CHECK(cosine.at(0) == 0.1);
  CHECK(linear.at(0) == 0.1);
  // Half way both are half way; at a quarter the cosine is at (1 + cos 45 degrees) / 2 of the way up.
  CHECK(cosine.at(20) == doctest::Approx(0.06).epsilon(1e-14));
  CHECK(linear.at(20) == doctest::Approx(0.06).epsilon(1e-14));
  CHECK(cosine.at(10) == doctest::Approx(0.02 + 0.08 * (2 + std::sqrt(2.0)) / 4).epsilon(1e-14));
  CHECK(linear.at(10) == doctest::Approx(0.08).epsilon(1e-14));
  CHECK(cosine.at(40) == doctest::Approx(0.02).epsilon(1e-14));
  CHECK(linear.at(40) == doctest::Approx(0.02).epsilon(1e-14));
  CHECK(cosine.at(4000) == cosine.at(40));  // beyond the run: no way up again
  for (std::uint64_t update = 1; update < 40; ++update) {
    CHECK(cosine.at(update) < cosine.at(update - 1));
    CHECK(linear.at(update) < linear.at(update - 1));
  }
}

TEST_CASE("warm-up climbs a line to base, then the schedule begins") {
  const LearningRate rate(schedule("cosine", 1.5), 0.1, 4, 10);
  CHECK(rate.at(0) == doctest::Approx(0.1 / 15).epsilon(1e-14));
  CHECK(rate.at(7) == doctest::Approx(0.1 * 8 / 15).epsilon(1e-14));
  CHECK(rate.at(14) == doctest::Approx(0.1).epsilon(1e-14));
  CHECK(rate.at(15) == 0.1);
  CHECK(rate.at(15 + 25 / 2) > 0.06);
  CHECK(rate.at(40) == doctest::Approx(0.02).epsilon(1e-14));
  // Longer than the run, and less than an update: neither divides by zero.
  CHECK(LearningRate(schedule("cosine", 1e6), 0.1, 1, 1).at(0) == doctest::Approx(1e-7).epsilon(1e-12));
  CHECK(LearningRate(schedule("linear", 0.01), 0.1, 1, 10).at(0) == 0.1);
  CHECK(LearningRate(schedule("cosine"), 0.1, 1, 1).at(0) == 0.1);
}

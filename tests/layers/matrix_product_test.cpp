#include "layers/cpu/matrix_product.h"

#include <doctest/doctest.h>
#include <hwy/targets.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "layers/cpu/simd.h"

using namespace lenet_flow;

namespace {

/// Runs `body` once for every SIMD target that this machine has and the kernels are compiled for, best first, and puts
/// the best one back.
template <typename Body>
void for_each_target(Body&& body) {
  for (std::int64_t left = hwy::SupportedTargets(); left != 0; left &= left - 1) {
    hwy::SetSupportedTargetsForTest(left & -left);
    const std::string name = hwy::TargetName(left & -left);
    if (simd_target() == "SCALAR" && name != "SCALAR") continue;  // not compiled for it
    INFO(name);
    body();
  }
  hwy::SetSupportedTargetsForTest(0);
}

std::vector<float> random_floats(std::int64_t count, std::uint32_t seed) {
  std::mt19937 engine(seed);
  std::vector<float> values(static_cast<std::size_t>(count));
  for (float& value : values) value = static_cast<float>(engine()) * 0x1p-31f - 1.0f;
  return values;
}

/// A [rows x depth] and a [depth x columns] matrix, and their product by multiply().
struct Matrices {
  std::int64_t rows, columns, depth;
  std::vector<float> left, right;

  Matrices(std::int64_t m, std::int64_t n, std::int64_t k)
      : rows(m), columns(n), depth(k), left(random_floats(m * k, 1)), right(random_floats(n * k, 2)) {}

  std::vector<float> panels() const {
    // What is beyond the last column may be anything.
    std::vector<float> packed(static_cast<std::size_t>(panels_of(columns) * depth * panel_columns), NAN);
    for (std::int64_t k = 0; k < depth; ++k)
      for (std::int64_t j = 0; j < columns; ++j)
        packed[static_cast<std::size_t>((j / panel_columns * depth + k) * panel_columns + j % panel_columns)] =
            right[static_cast<std::size_t>(k * columns + j)];
    return packed;
  }

  std::vector<float> product(bool add = false, float before = NAN) const {
    const std::vector<float> packed = panels();
    std::vector<float> result(static_cast<std::size_t>(rows * columns), before);
    multiply({left.data(), depth, 1}, {packed.data(), depth * panel_columns}, {result.data(), columns},
             {rows, columns, depth}, add);
    return result;
  }
};

struct Size {
  std::int64_t rows, columns, depth;
};

constexpr Size sizes[] = {{1, 1, 1},   {6, 33, 25},   {8, 32, 256},  {9, 31, 257}, {17, 16, 3},
                          {7, 65, 70}, {120, 5, 400}, {3, 100, 513}, {5, 8, 64},   {13, 17, 1000}};

}  // namespace

TEST_CASE("multiply is the product in double precision, on every SIMD target") {
  for_each_target([] {
    for (const Size& size : sizes) {
      const Matrices matrices(size.rows, size.columns, size.depth);
      for (const bool add : {false, true}) {
        const std::vector<float> got = add ? matrices.product(true, 3.0f) : matrices.product();
        double worst = 0;
        for (std::int64_t i = 0; i < size.rows; ++i)
          for (std::int64_t j = 0; j < size.columns; ++j) {
            double sum = add ? 3.0 : 0.0, magnitude = 3.0;
            for (std::int64_t k = 0; k < size.depth; ++k) {
              const double term = static_cast<double>(matrices.left[static_cast<std::size_t>(i * size.depth + k)]) *
                                  static_cast<double>(matrices.right[static_cast<std::size_t>(k * size.columns + j)]);
              sum += term;
              magnitude += std::abs(term);
            }
            const double error =
                std::abs(sum - static_cast<double>(got[static_cast<std::size_t>(i * size.columns + j)]));
            worst = std::isnan(error) ? INFINITY : std::max(worst, error / magnitude);
          }
        CHECK(worst < 1e-6);
      }
    }
  });
}

TEST_CASE("the order of the sum is what the header says, on targets that fuse and on those that do not") {
  for_each_target([] {
    const bool fused = simd_target() == "AVX2" || simd_target() == "AVX-512";
    if (!fused && simd_target() != "SSE4") return;
    const Matrices matrices(3, 5, 600);
    const std::vector<float> got = matrices.product(true, 0.25f);
    for (std::int64_t i = 0; i < 3; ++i)
      for (std::int64_t j = 0; j < 5; ++j) {
        float expected = 0.25f;
        for (std::int64_t first = 0; first < 600; first += 256) {
          float block = 0;
          for (std::int64_t k = first; k < std::min<std::int64_t>(600, first + 256); ++k) {
            const float a = matrices.left[static_cast<std::size_t>(i * 600 + k)];
            const float b = matrices.right[static_cast<std::size_t>(k * 5 + j)];
            block = fused ? std::fma(a, b, block) : block + a * b;
          }
          expected += block;
        }
        CHECK(got[static_cast<std::size_t>(i * 5 + j)] == expected);
      }
  });
}

TEST_CASE("an element's bits depend neither on its place nor on addresses") {
  for_each_target([] {
    const Matrices all(19, 77, 300);
    const std::vector<float> expected = all.product();
    for (std::int64_t row = 0; row < all.rows; row += 3)
      for (std::int64_t column = 0; column < all.columns; column += 5) {
        // The same row and column alone, from addresses that no vector is aligned to, as a strided left operand.
        std::vector<float> left(static_cast<std::size_t>(3 * all.depth + 1)), right, result(2, -1.0f);
        right.assign(static_cast<std::size_t>(all.depth * panel_columns + 1), 7.0f);
        for (std::int64_t k = 0; k < all.depth; ++k) {
          left[static_cast<std::size_t>(3 * k + 1)] = all.left[static_cast<std::size_t>(row * all.depth + k)];
          right[static_cast<std::size_t>(k * panel_columns + 1)] =
              all.right[static_cast<std::size_t>(k * all.columns + column)];
        }
        multiply({left.data() + 1, 1000, 3}, {right.data() + 1, 0}, {result.data() + 1, 1}, {1, 1, all.depth}, false);
        CHECK(std::memcmp(&result[1], &expected[static_cast<std::size_t>(row * all.columns + column)], sizeof(float)) ==
              0);
        CHECK(result[0] == -1.0f);
      }
  });
}

TEST_CASE("multiply writes its own rows and columns only") {
  for_each_target([] {
    const Matrices matrices(7, 21, 30);
    const std::vector<float> packed = matrices.panels(), expected = matrices.product();
    std::vector<float> wide(7 * 40 + 40, 5.0f);
    multiply({matrices.left.data(), 30, 1}, {packed.data(), 30 * panel_columns}, {wide.data(), 40}, {7, 21, 30}, false);
    bool untouched = true, right = true;
    for (std::size_t i = 0; i < wide.size(); ++i)
      if (i < 7 * 40 && i % 40 < 21)
        right = right && wide[i] == expected[i / 40 * 21 + i % 40];
      else
        untouched = untouched && wide[i] == 5.0f;
    CHECK(right);
    CHECK(untouched);
  });
}

TEST_CASE("the SIMD target has a name, and it changes with the target") {
  CHECK(!simd_target().empty());
  CHECK(simd_target() != "AVX3");  // the library's word for AVX-512
  std::vector<std::string> names;
  for_each_target([&] { names.emplace_back(simd_target()); });
  REQUIRE(!names.empty());
  CHECK(std::string(simd_target()) == names.front());
  std::sort(names.begin(), names.end());
  CHECK(std::adjacent_find(names.begin(), names.end()) == names.end());
}

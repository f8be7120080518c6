#include "layers/cpu/vector_math.h"

#include <algorithm>
#include <cstddef>

// The part between HWY_BEFORE_NAMESPACE and HWY_AFTER_NAMESPACE is compiled once for each instruction set.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "layers/cpu/vector_math.cpp"
#include <hwy/foreach_target.h>
//
#include <hwy/contrib/math/math-inl.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace lenet_flow {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

using Doubles = hn::ScalableTag<double>;
using Floats = hn::Rebind<float, Doubles>;
using Vector = hn::Vec<Doubles>;

HWY_INLINE Vector constant(double value) { return hn::Set(Doubles(), value); }

/// to[i] = function(from[i]). What is left after the last full vector is copied into one.
template <typename Function>
HWY_INLINE void transform(const float* from, float* to, std::int64_t count, Function function) {
  const Doubles doubles;
  const Floats floats;
  const auto one = [&](const float* source, float* target) HWY_ATTR {
    const Vector x = hn::PromoteTo(doubles, hn::LoadU(floats, source));
    const Vector y = function(x);
    hn::StoreU(hn::DemoteTo(floats, hn::IfThenElse(hn::IsNaN(x), x, y)), floats, target);
  };
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(doubles));
  std::int64_t i = 0;
  for (; i + lanes <= count; i += lanes) one(from + i, to + i);
  if (i == count) return;
  HWY_ALIGN float rest[hn::MaxLanes(Doubles())] = {};
  std::copy(from + i, from + count, rest);
  one(rest, rest);
  std::copy_n(rest, count - i, to + i);
}

/// e^x. Highway's is good up to 706, and above 89 a float is infinite.
HWY_INLINE Vector exponential(Vector x) { return hn::Exp(Doubles(), hn::Min(x, constant(700.0))); }

/// The standard normal distribution function and density of x.
struct Normal {
  Vector distribution, density;
};

/// For z = |x| / sqrt 2: erfc(z) = e^(-z^2) g(t) / (1 + 2z) with t = (z - 3.75) / (z + 3.75), where g is smooth over
/// the whole half-line (Shepherd and Laframboise, Mathematics of Computation 36, 1981). Here a polynomial of degree 12,
/// interpolated in Chebyshev points over z <= 30; relative error 1.6e-9.
HWY_INLINE Normal normal(Vector x) {
  constexpr double g[] = {1.237512629307721,     -0.1402405974057828,   0.0035855812869273656, 0.08227669931527597,
                          -0.10880686841467174,  0.09230437255618934,   -0.05867402182131102,  0.028365116974500844,
                          -0.009805968084207929, 0.0017391479743371187, 0.0003821348943994979, -0.0002574468124654634,
                          -6.192945369258869e-06};
  const Vector size = hn::Min(hn::Abs(x), constant(40.0));  // e^(-40^2 / 2) is zero, and infinity makes no NaN here
  const Vector z = hn::Mul(size, constant(0.7071067811865476));
  const Vector t = hn::Div(hn::Sub(z, constant(3.75)), hn::Add(z, constant(3.75)));
  Vector sum = constant(g[12]);
  for (int i = 11; i >= 0; --i) sum = hn::MulAdd(sum, t, constant(g[i]));
  const Vector bell = exponential(hn::Mul(hn::Mul(size, size), constant(-0.5)));
  const Vector tail = hn::Div(hn::Mul(hn::Mul(bell, sum), constant(0.5)), hn::MulAdd(constant(2.0), z, constant(1.0)));
  return {hn::IfThenElse(hn::Lt(x, constant(0.0)), tail, hn::Sub(constant(1.0), tail)),
          hn::Mul(bell, constant(0.3989422804014327))};
}

void exp(const float* from, float* to, std::int64_t count) {
  transform(from, to, count, [](Vector x) HWY_ATTR { return exponential(x); });
}

void tanh(const float* from, float* to, std::int64_t count) {
  transform(from, to, count, [](Vector x) HWY_ATTR { return hn::Tanh(Doubles(), x); });
}

void sigmoid(const float* from, float* to, std::int64_t count) {
  transform(from, to, count, [](Vector x) HWY_ATTR {
    const Vector one = constant(1.0);
    return hn::Div(one, hn::Add(one, exponential(hn::Neg(x))));
  });
}

void gelu(const float* from, float* to, std::int64_t count) {
  transform(from, to, count, [](Vector x) HWY_ATTR { return hn::Mul(x, normal(x).distribution); });
}

void gelu_derivative(const float* from, float* to, std::int64_t count) {
  transform(from, to, count, [](Vector x) HWY_ATTR {
    const Normal at = normal(x);
    return hn::MulAdd(x, at.density, at.distribution);
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace lenet_flow
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lenet_flow::vector_math {

HWY_EXPORT(exp);
HWY_EXPORT(tanh);
HWY_EXPORT(sigmoid);
HWY_EXPORT(gelu);
HWY_EXPORT(gelu_derivative);

void exp(const float* from, float* to, std::int64_t count) { HWY_DYNAMIC_DISPATCH(exp)(from, to, count); }
void tanh(const float* from, float* to, std::int64_t count) { HWY_DYNAMIC_DISPATCH(tanh)(from, to, count); }
void sigmoid(const float* from, float* to, std::int64_t count) { HWY_DYNAMIC_DISPATCH(sigmoid)(from, to, count); }
void gelu(const float* from, float* to, std::int64_t count) { HWY_DYNAMIC_DISPATCH(gelu)(from, to, count); }
void gelu_derivative(const float* from, float* to, std::int64_t count) {
  HWY_DYNAMIC_DISPATCH(gelu_derivative)(from, to, count);
}

}  // namespace lenet_flow::vector_math
#endif

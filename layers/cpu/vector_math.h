#pragma once

#include <cstdint>

namespace lenet_flow {

/// Transcendental functions of whole arrays, in the widest vectors that the CPU has (Highway, chosen when the program
/// runs). A last vector that is not full goes through the same arithmetic, so an element's bits depend on its value
/// (and on the instruction set) alone, not on where it lies or on `count`.
///
/// Every value is computed in double precision and rounded once: results are within one unit in the last place of
/// the true value, over all floats (subnormal results too). NaN in, NaN out. `to` may be `from`.
namespace vector_math {

/// to[i] = e^from[i].
void exp(const float* from, float* to, std::int64_t count);
/// to[i] = tanh from[i].
void tanh(const float* from, float* to, std::int64_t count);
/// to[i] = 1 / (1 + e^-from[i]).
void sigmoid(const float* from, float* to, std::int64_t count);
/// to[i] = x F(x) for x = from[i], F(x) = (1 + erf(x / sqrt 2)) / 2 the standard normal distribution. NaN for minus
/// infinity (infinity times zero), as PyTorch has it.
void gelu(const float* from, float* to, std::int64_t count);
/// to[i] = F(x) + x F'(x) for x = from[i]: the derivative of gelu. Where the two terms cancel (near x = -0.75) the
/// error is one unit in the last place of them. NaN for both infinities.
void gelu_derivative(const float* from, float* to, std::int64_t count);

}  // namespace vector_math
}  // namespace lenet_flow

#pragma once

#include <string_view>

namespace lenet_flow {

/// The SIMD target that the CPU kernels run as on this machine, chosen when the program starts: "AVX-512", "AVX2",
/// "SSE4", ... The bits of results are equal between machines that give the same answer, and not promised to be
/// between others (AVX2 multiplies and adds in one rounding, SSE4 in two).
std::string_view simd_target();

}  // namespace lenet_flow

#pragma once

#include <vector>

namespace lenet_flow {

/// Single-precision operations a second (a multiply-add counts two) that these cores reach together at best: each runs
/// independent fused multiply-adds on registers for `seconds`, by the widest vectors that the CPU kernels use too, and
/// the fastest of several pieces of that time counts. Cores that other threads use meanwhile make it too low.
double measure_peak_flops(const std::vector<int>& cores, double seconds = 0.05);

}  // namespace lenet_flow

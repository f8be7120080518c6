#pragma once

/// Before a function that runs on the CPU and in CUDA kernels alike: what a loss or an optimizer does with one element
/// is written once. It may use no library but the mathematical functions and what is constexpr.
#ifdef __CUDACC__
#define LENET_FLOW_HOST_DEVICE __host__ __device__
#else
#define LENET_FLOW_HOST_DEVICE
#endif

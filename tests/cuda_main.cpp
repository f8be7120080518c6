#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <cstdio>

#include "devices/async_device.h"

/// Programs of the suite `cuda` need a GPU: without one they are skipped (meson's exit code for that).
int main(int argc, char** argv) {
  constexpr int skipped = 77;
  if (!lenet_flow::count_cuda_devices || lenet_flow::count_cuda_devices() == 0) {
    std::puts("no GPU here");
    return skipped;
  }
  return doctest::Context(argc, argv).run();
}

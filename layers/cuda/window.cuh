#pragma once

#include <cstdint>

#include "devices/host_device.h"
#include "layers/window.h"

namespace lenet_flow {

/// One axis of a Window, in the 32 bits that a GPU computes fastest with; an image's axis has at most 2^31 - 1
/// elements.
struct WindowAxis {
  int kernel, stride, dilation, before, input, output;

  /// The element that tap `tap` of output position `position` reads; outside of [0, input) there is padding.
  __device__ int element(int position, int tap) const { return position * stride - before + tap * dilation; }
  __device__ bool inside(int element) const { return element >= 0 && element < input; }
  /// The output position whose tap `tap` reads `element`, or -1.
  __device__ int position(int element, int tap) const {
    const int offset = element + before - tap * dilation;
    return offset < 0 || offset % stride != 0 || offset / stride >= output ? -1 : offset / stride;
  }
};

/// A Window over images of `input`, ready for kernels.
struct WindowAxes {
  WindowAxis rows, columns;

  WindowAxes(const Shape& input, const Window& window)
      : rows(axis(window.kernel.height, window.stride.height, window.dilation.height, window.before.height,
                  input.height, window.output.height)),
        columns(axis(window.kernel.width, window.stride.width, window.dilation.width, window.before.width, input.width,
                     window.output.width)) {}

  LENET_FLOW_HOST_DEVICE std::int64_t in_plane() const { return std::int64_t{rows.input} * columns.input; }
  LENET_FLOW_HOST_DEVICE std::int64_t out_plane() const { return std::int64_t{rows.output} * columns.output; }

 private:
  static WindowAxis axis(std::int64_t kernel, std::int64_t stride, std::int64_t dilation, std::int64_t before,
                         std::int64_t input, std::int64_t output) {
    const auto narrow = [](std::int64_t value) { return static_cast<int>(value); };
    return {narrow(kernel), narrow(stride), narrow(dilation), narrow(before), narrow(input), narrow(output)};
  }
};

}  // namespace lenet_flow

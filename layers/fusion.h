#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "devices/work_queue.h"
#include "layers/fusion_part.h"
#include "layers/kernel.h"
#include "layers/layer.h"

namespace lenet_flow {

/// A layer of a chain with its shapes, which have passed Layer::output_shape().
struct FusionLayer {
  const Layer* layer = nullptr;
  Shape input, output;
};

/// One kernel for a chain of layers, each of which has one input, the output of the one before, and whose output nobody
/// else reads: a convolution or a dense layer, then an activation, then (after a convolution) a pool, each of the last
/// two where it is there, and reshaping layers before a dense layer and anywhere behind it. What the layers are they
/// say themselves (Layer::fusion_part()). Null where there is none: for other chains, other kinds of device, and
/// convolutions that are too large.
///
/// A call of it has the first layer's input, the last one's output and the parameters of all layers in their order;
/// saved_bytes() and workspace_bytes() are the chain's. No tensor between the layers exists. Its results are those of
/// the single layers' kernels, bit for bit, as long as no NaN stands in a pool's window beside another NaN.
std::unique_ptr<Kernel> make_fused_kernel(DeviceKind kind, std::span<const FusionLayer> chain);

/// How many layers from the front of `layers` one kernel can do: 0 or 1 where nothing is fused. As
/// make_fused_kernel().
std::size_t longest_fusion(DeviceKind kind, std::span<const FusionLayer> layers);

}  // namespace lenet_flow

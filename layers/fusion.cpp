#include "layers/fusion.h"

#include <optional>

#include "devices/cuda_code.h"
#include "layers/conv2d/conv2d_chain.h"
#include "layers/dense/dense.h"

namespace lenet_flow {
namespace {

/// A chain as its parts, without those that do nothing to the numbers.
struct Chain {
  std::optional<Convolution> convolution;
  std::optional<DensePart> dense;
  std::optional<ActivationPart> activation;
  std::optional<PoolPart> pool;
};

/// Adds one layer's part; false where it does not fit behind those that are there.
class AddPart {
 public:
  explicit AddPart(Chain& chain) : chain_(&chain) {}

  bool operator()(std::monostate) const { return false; }
  bool operator()(const Convolution& convolution) const {
    return is_first() && (chain_->convolution = convolution, true);
  }
  bool operator()(const DensePart& dense) const { return is_first() && (chain_->dense = dense, true); }
  bool operator()(const ActivationPart& activation) const {
    return !is_first() && !chain_->activation && !chain_->pool && (chain_->activation = activation, true);
  }
  bool operator()(const PoolPart& pool) const {
    return chain_->convolution && !chain_->pool && (chain_->pool = pool, true);
  }
  bool operator()(ReshapePart) const {
    // A pool behind it would see other rows and columns.
    return !chain_->convolution || chain_->pool;
  }

 private:
  bool is_first() const { return !chain_->convolution && !chain_->dense; }

  Chain* chain_;
};

}  // namespace

std::unique_ptr<Kernel> make_fused_kernel(DeviceKind kind, std::span<const FusionLayer> chain) {
  if (kind != DeviceKind::cuda) return nullptr;
  Chain parts;
  for (const FusionLayer& each : chain)
    if (!std::visit(AddPart(parts), each.layer->fusion_part(each.input, each.output))) return nullptr;
  const ActivationPart activation = parts.activation.value_or(ActivationPart{});
  if (parts.dense) return make_with_cuda(make_dense_cuda, *parts.dense, activation);
  if (!parts.convolution) return nullptr;
  return make_with_cuda(make_conv2d_chain_cuda, *parts.convolution, activation, parts.pool.value_or(PoolPart{}));
}

std::size_t longest_fusion(DeviceKind kind, std::span<const FusionLayer> layers) {
  std::size_t longest = 0;
  for (std::size_t count = 1; count <= layers.size(); ++count) {
    if (make_fused_kernel(kind, layers.first(count))) longest = count;
    // A chain may begin with layers that only a later one makes worth it, but never has more parts than these.
    if (count >= 6) break;
  }
  return longest;
}

}  // namespace lenet_flow

#include "devices/cuda/launch.cuh"
#include "layers/flatten/flatten.h"

namespace lenet_flow {
namespace {

/// In the standard layout an image lies in memory as its features do: a copy.
class FlattenCuda final : public Kernel {
 public:
  void forward(const KernelCall& call) override {
    copy_floats(*call.queue, "flatten forward", call.inputs[0].data, call.output.data, call.output.elements());
  }

  void input_gradients(const KernelCall& call) override {
    if (!call.input_gradients[0]) return;
    copy_floats(*call.queue, "flatten I", call.output_gradient.data, call.input_gradients[0].data,
                call.output_gradient.elements());
  }
};

}  // namespace

std::unique_ptr<Kernel> make_flatten_cuda() { return std::make_unique<FlattenCuda>(); }

}  // namespace lenet_flow

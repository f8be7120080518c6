#include "layers/elementwise.h"

namespace lenet_flow {
namespace {

/// Elements that one core takes at least: below this a hand-over to another core costs more than it saves.
constexpr std::int64_t grain = 4096;

}  // namespace

void ElementwiseKernel::forward(const KernelCall& call) {
  const float* from = call.inputs[0].data;
  float* to = call.output.data;
  call.cpu().parallel_for(call.output.elements(), grain, [&](std::int64_t begin, std::int64_t end, int) {
    outputs(from + begin, to + begin, end - begin);
  });
}

void ElementwiseKernel::input_gradients(const KernelCall& call) {
  if (!call.input_gradients[0]) return;
  call.cpu().parallel_for(call.output.elements(), grain, [&](std::int64_t begin, std::int64_t end, int) {
    gradients({call.inputs[0].data + begin, call.output.data + begin, call.output_gradient.data + begin,
               call.input_gradients[0].data + begin, end - begin});
  });
}

}  // namespace lenet_flow

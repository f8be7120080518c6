#include "devices/cuda/launch.cuh"
#include "layers/concat/concat.h"

namespace lenet_flow {
namespace {

/// Copies of rectangles: a row an image, as wide as one input's share of it.
class ConcatCuda final : public Kernel {
 public:
  void forward(const KernelCall& call) override {
    float* to = call.output.data;
    for (const Tensor& input : call.inputs) {
      copy(call, "concat forward", input.data, input.shape.elements(), to, call.output.shape.elements(), input.shape);
      to += input.shape.elements();
    }
  }

  void input_gradients(const KernelCall& call) override {
    const float* from = call.output_gradient.data;
    for (const Tensor& gradient : call.input_gradients) {
      const Shape& part = gradient.shape;
      if (gradient)
        copy(call, "concat I", from, call.output_gradient.shape.elements(), gradient.data, part.elements(), part);
      from += part.elements();
    }
  }

 private:
  /// `part` of every image, whose images lie `from_pitch` and `to_pitch` floats behind each other.
  static void copy(const KernelCall& call, const char* name, const float* from, std::int64_t from_pitch, float* to,
                   std::int64_t to_pitch, const Shape& part) {
    const NvtxRange range(name);
    const auto bytes = [](std::int64_t floats) { return static_cast<std::size_t>(floats) * sizeof(float); };
    check_cuda(
        cudaMemcpy2DAsync(to, bytes(to_pitch), from, bytes(from_pitch), bytes(part.elements()),
                          static_cast<std::size_t>(call.images), cudaMemcpyDeviceToDevice, stream_of(*call.queue)),
        name);
  }
};

}  // namespace

std::unique_ptr<Kernel> make_concat_cuda() { return std::make_unique<ConcatCuda>(); }

}  // namespace lenet_flow

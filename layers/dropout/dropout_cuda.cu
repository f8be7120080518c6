#include <string>

#include "devices/cuda/launch.cuh"
#include "devices/random.h"
#include "layers/dropout/dropout.h"

namespace lenet_flow {
namespace {

/// What is the same for all elements. An image has `blocks` blocks of four random numbers.
struct DropoutRule {
  float p, scale;
  std::int64_t elements, blocks;
};

/// A thread a block of four elements. stays: one byte an element, 1 where it stays.
__global__ void dropout_forward(DropoutRule rule, RandomStream stream, const std::uint32_t* samples,
                                const float* inputs, float* outputs, unsigned char* stays, std::int64_t count) {
  for_each_element(count, [&](std::int64_t i) {
    const std::int64_t image = i / rule.blocks, block = i % rule.blocks;
    const auto words = stream.of_sample(samples[image]).block(static_cast<std::uint32_t>(block));
    for (std::int64_t word = 0; word < 4 && 4 * block + word < rule.elements; ++word) {
      const std::int64_t at = image * rule.elements + 4 * block + word;
      stays[at] = static_cast<float>(words[static_cast<std::size_t>(word)] >> 8) * 0x1p-24f >= rule.p;
      outputs[at] = stays[at] ? inputs[at] * rule.scale : 0.0f;
    }
  });
}

__global__ void dropout_gradient(DropoutRule rule, const unsigned char* stays, const float* output_gradients,
                                 float* input_gradients, std::int64_t count) {
  for_each_element(count,
                   [&](std::int64_t i) { input_gradients[i] = stays[i] ? output_gradients[i] * rule.scale : 0.0f; });
}

/// Drops the same elements as on the CPU (DropoutCpu): the random numbers are the same. Saved: one byte an element.
class DropoutCuda final : public Kernel {
 public:
  DropoutCuda(std::string_view name, double p, std::int64_t elements)
      : name_(name), rule_{static_cast<float>(p), static_cast<float>(1.0 / (1.0 - p)), elements, (elements + 3) / 4} {}

  std::size_t saved_bytes(std::int64_t images) const override {
    return static_cast<std::size_t>(images * rule_.elements);
  }

  bool draws_random_numbers() const override { return true; }

  void forward(const KernelCall& call) override {
    if (call.facts.mode == Mode::infer)
      return copy_floats(*call.queue, "dropout forward", call.inputs[0].data, call.output.data, call.output.elements());
    const std::int64_t count = call.images * rule_.blocks;
    launch(*call.queue, "dropout forward", over_elements(count), dropout_forward, rule_,
           RandomStream(call.facts.seed, call.facts.epoch, 0, name_), call.facts.samples.data(), call.inputs[0].data,
           call.output.data, reinterpret_cast<unsigned char*>(call.saved.data()), count);
  }

  void input_gradients(const KernelCall& call) override {
    if (!call.input_gradients[0]) return;
    const std::int64_t count = call.output_gradient.elements();
    launch(*call.queue, "dropout I", over_elements(count), dropout_gradient, rule_,
           reinterpret_cast<const unsigned char*>(call.saved.data()), call.output_gradient.data,
           call.input_gradients[0].data, count);
  }

 private:
  std::string name_;
  DropoutRule rule_;
};

}  // namespace

std::unique_ptr<Kernel> make_dropout_cuda(std::string_view name, double p, std::int64_t elements) {
  return std::make_unique<DropoutCuda>(name, p, elements);
}

}  // namespace lenet_flow

#include "layers/dropout/dropout.h"

#include <algorithm>
#include <string>

#include "devices/random.h"
#include "layers/layer.h"

namespace lenet_flow {
namespace {

/// Drops element i of an image (in the standard layout) where the i-th number of the stream (seed, epoch, sample, layer
/// name) is below p, and scales what stays by 1 / (1 - p). Saved: one byte an element, 1 where it stays.
class DropoutCpu final : public Kernel {
 public:
  DropoutCpu(std::string_view name, double p, std::int64_t elements)
      : name_(name), p_(static_cast<float>(p)), scale_(static_cast<float>(1.0 / (1.0 - p))), elements_(elements) {}

  std::size_t saved_bytes(std::int64_t images) const override { return static_cast<std::size_t>(images * elements_); }

  void forward(const KernelCall& call) override {
    const bool train = call.facts.mode == Mode::train;
    auto* stays = reinterpret_cast<unsigned char*>(call.saved.data());
    call.cpu().parallel_for(call.images, 1, [&](std::int64_t begin, std::int64_t end, int) {
      for (std::int64_t image = begin; image < end; ++image) {
        const float* from = call.inputs[0].data + image * elements_;
        float* to = call.output.data + image * elements_;
        if (train) {
          draw(call.facts, call.facts.samples[static_cast<std::size_t>(image)], stays + image * elements_);
          scale(from, stays + image * elements_, to);
        } else {
          std::copy_n(from, elements_, to);
        }
      }
    });
  }

  /// Of a pass that trains: in one that infers, nobody asks for gradients.
  void input_gradients(const KernelCall& call) override {
    if (!call.input_gradients[0]) return;
    const auto* stays = reinterpret_cast<const unsigned char*>(call.saved.data());
    call.cpu().parallel_for(call.images, 1, [&](std::int64_t begin, std::int64_t end, int) {
      for (std::int64_t image = begin; image < end; ++image)
        scale(call.output_gradient.data + image * elements_, stays + image * elements_,
              call.input_gradients[0].data + image * elements_);
    });
  }

 private:
  /// Uniform numbers as RandomStream::uniform() makes them, four a block.
  void draw(const MicroBatchFacts& facts, std::uint32_t sample, unsigned char* stays) const {
    const RandomStream stream(facts.seed, facts.epoch, sample, name_);
    for (std::int64_t first = 0; first < elements_; first += 4) {
      const auto words = stream.block(static_cast<std::uint32_t>(first / 4));
      for (std::int64_t i = first; i < std::min(elements_, first + 4); ++i)
        stays[i] = static_cast<float>(words[static_cast<std::size_t>(i - first)] >> 8) * 0x1p-24f >= p_;
    }
  }

  void scale(const float* from, const unsigned char* stays, float* to) const {
    for (std::int64_t i = 0; i < elements_; ++i) to[i] = stays[i] ? from[i] * scale_ : 0.0f;
  }

  std::string name_;
  float p_, scale_;
  std::int64_t elements_;
};

class Dropout final : public Layer {
 public:
  explicit Dropout(const Attributes& attributes) : p_(attributes.number("p")) {}

  Shape output_shape(std::span<const Shape> inputs) const override { return inputs[0]; }

  Flops flops(std::span<const Shape> inputs) const override {
    const double elements = static_cast<double>(inputs[0].elements());
    return {elements, elements, 0};
  }

  std::unique_ptr<Kernel> make_kernel(DeviceKind kind, std::string_view name, std::span<const Shape> inputs,
                                      const Shape&) const override {
    if (kind == DeviceKind::cuda) return make_with_cuda(make_dropout_cuda, name, p_, inputs[0].elements());
    return std::make_unique<DropoutCpu>(name, p_, inputs[0].elements());
  }

 private:
  double p_;
};

}  // namespace

LayerType dropout_type() {
  return {.name = "dropout",
          .help = "in training, sets a share p of the numbers to zero and scales the others by 1 / (1 - p)",
          .attributes = {{.name = "p",
                          .kind = AttributeKind::number,
                          .help = "share of the numbers that are dropped",
                          .default_value = 0.5,
                          .minimum = 0,
                          .maximum = 1,
                          .open_maximum = true}},
          .make = [](const Attributes& attributes) { return std::make_unique<Dropout>(attributes); }};
}

}  // namespace lenet_flow

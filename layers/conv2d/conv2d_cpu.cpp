#include <algorithm>
#include <array>
#include <cstring>

#include "layers/conv2d/conv2d.h"
#include "layers/cpu/fixed_sum.h"
#include "layers/cpu/matrix_product.h"
#include "layers/cpu/scratch.h"

namespace lenet_flow {
namespace {

/// A block of positions is unfolded at once: as many panels as stay in a cache, within these.
constexpr std::int64_t least_panels_a_block = 4, most_panels_a_block = 8;
/// Positions that W sums from zero before it adds them to the gradient.
constexpr std::int64_t summed_positions = 128;
/// Floats that a copy may write, and read, past its end.
constexpr std::int64_t slack = 8;

/// Output positions that lie beside each other in one row of one image.
struct Segment {
  std::int64_t lane = 0;  ///< of the first, counted from the block's begin
  std::int64_t length = 0;
  std::int64_t offset = 0;  ///< of the first's tap (0, 0) of channel 0 in the padded images
};

struct Segments {
  std::array<Segment, most_panels_a_block * panel_columns> at;
  std::size_t count = 0;

  const Segment* begin() const { return at.data(); }
  const Segment* end() const { return at.data() + count; }
};

/// im2col and matrix products. The positions of all images stand in one line, [image][row][column], which is cut into
/// panels of 32 columns:
///   F   output [outputs x positions]  = weight [outputs x depth] . unfolded input [depth x positions]
///   I   unfolded gradient             = weight, transposed . output gradient [outputs x positions], folded back
///   W   weight gradient, transposed   = unfolded input [depth x positions] . output gradient, transposed
/// where depth runs over (channel of the group, kernel row, kernel column).
///
/// Trade-off: unfolding costs about as much as the product where there are few output channels.
class Conv2dCpu final : public Kernel {
 public:
  explicit Conv2dCpu(const Convolution& convolution)
      : c_(convolution),
        rows_(c_.input.height + c_.window.before.height + c_.window.after.height),
        columns_(c_.input.width + c_.window.before.width + c_.window.after.width) {
    const std::int64_t depth = c_.depth(), taps = c_.window.taps();
    panels_a_block_ = std::clamp(65536 / (depth * panel_columns), least_panels_a_block, most_panels_a_block);
    images_a_set_ = std::max<std::int64_t>(1, block_positions() / c_.positions());
    channels_a_block_ = std::clamp<std::int64_t>(256 / taps, 1, c_.group_inputs());
  }

  std::size_t workspace_bytes(std::int64_t images, int cores) const override {
    Scratch forward, inputs, parameters;
    cut_forward(forward, images, cores);
    cut_inputs(inputs, cores);
    cut_parameters(parameters, images, cores);
    return std::max({forward.used(), inputs.used(), parameters.used()});
  }

  void forward(const KernelCall& call) override;
  void input_gradients(const KernelCall& call) override;
  void parameter_gradients(const KernelCall& call) override;

 private:
  struct ForwardArrays {
    float* padded;
    WorkerFloats panels, product;
  };
  struct InputArrays {
    WorkerFloats panels, product, padded;
  };
  struct ParameterArrays {
    float *padded, *partial;
    WorkerFloats unfolded, transposed;
  };

  std::int64_t plane() const { return rows_ * columns_; }
  std::int64_t block_positions() const { return panels_a_block_ * panel_columns; }
  std::int64_t weights() const { return c_.output.channels * c_.depth(); }
  std::int64_t padded_floats(std::int64_t images) const { return images * c_.input.channels * plane() + slack; }

  ForwardArrays cut_forward(Scratch& scratch, std::int64_t images, int cores) const {
    return {scratch.floats(padded_floats(images)), scratch.worker_floats(block_positions() * c_.depth() + slack, cores),
            scratch.worker_floats(block_positions() * c_.group_outputs(), cores)};
  }
  InputArrays cut_inputs(Scratch& scratch, int cores) const {
    return {scratch.worker_floats(block_positions() * c_.group_outputs(), cores),
            scratch.worker_floats(block_positions() * c_.depth(), cores),
            scratch.worker_floats(images_a_set_ * c_.group_inputs() * plane(), cores)};
  }
  ParameterArrays cut_parameters(Scratch& scratch, std::int64_t images, int cores) const {
    const std::int64_t transposed = panels_of(c_.group_outputs()) * panel_columns * summed_positions;
    return {scratch.floats(padded_floats(images)), scratch.floats(chunks(images) * weights()),
            scratch.worker_floats(channels_a_block_ * c_.window.taps() * summed_positions + slack, cores),
            scratch.worker_floats(transposed, cores)};
  }

  /// W sums the images of a chunk one after another and then the chunks. A large layer has enough blocks of channels
  /// to go round all cores; a small one is cut by images too. Depends on shapes alone: it decides the order of a sum.
  std::int64_t images_a_chunk(std::int64_t images) const { return weights() > 65536 ? images : 8; }
  std::int64_t chunks(std::int64_t images) const {
    return (images + images_a_chunk(images) - 1) / images_a_chunk(images);
  }

  void pad(const KernelCall& call, float* padded) const;
  void find_segments(std::int64_t first, std::int64_t count, std::int64_t channels, Segments& segments) const;
  void unfold(const float* padded, const Segments& block, std::int64_t channels, std::int64_t stride, float* to) const;
  void fold(const float* unfolded, std::int64_t stride, const Segments& block, float* padded) const;
  void crop(const float* padded, float* to) const;
  void add_chunks(const KernelCall& call, const float* partial) const;
  void bias_gradient(const KernelCall& call) const;
  void chunk_gradient(const KernelCall& call, const ParameterArrays& arrays, std::int64_t item, int worker) const;

  Convolution c_;
  std::int64_t rows_, columns_;  ///< of a padded image
  std::int64_t panels_a_block_ = 1, images_a_set_ = 1, channels_a_block_ = 1;
};

/// Calls body(lane, length, image, position) for the pieces of positions [first, first + count) that lie in one image.
template <typename Body>
void for_each_image(std::int64_t first, std::int64_t count, std::int64_t positions, Body&& body) {
  for (std::int64_t lane = 0; lane < count;) {
    const std::int64_t image = (first + lane) / positions, position = (first + lane) % positions;
    const std::int64_t length = std::min(count - lane, positions - position);
    body(lane, length, image, position);
    lane += length;
  }
}

/// Every image with its padding, as [image][channel][rows_][columns_].
void Conv2dCpu::pad(const KernelCall& call, float* padded) const {
  const Extent before = c_.window.before;
  const std::int64_t height = c_.input.height, width = c_.input.width;
  call.cpu().parallel_for(call.images * c_.input.channels, 4, [&](std::int64_t begin, std::int64_t end, int) {
    for (std::int64_t i = begin; i < end; ++i) {
      const float* from = call.inputs[0].data + i * height * width;
      float* to = padded + i * plane();
      std::fill_n(to, before.height * columns_, 0.0f);
      to += before.height * columns_;
      for (std::int64_t row = 0; row < height; ++row, from += width, to += columns_) {
        std::fill_n(to, before.width, 0.0f);
        std::copy_n(from, width, to + before.width);
        std::fill_n(to + before.width + width, c_.window.after.width, 0.0f);
      }
      std::fill_n(to, c_.window.after.height * columns_, 0.0f);
    }
  });
}

/// Positions [first, first + count), at most a block, cut into segments. `channels` are those of the padded images.
void Conv2dCpu::find_segments(std::int64_t first, std::int64_t count, std::int64_t channels, Segments& segments) const {
  segments.count = 0;
  const std::int64_t width = c_.output.width;
  for_each_image(first, count, c_.positions(),
                 [&](std::int64_t lane, std::int64_t length, std::int64_t image, std::int64_t position) {
                   while (length > 0) {
                     const std::int64_t row = position / width, column = position % width;
                     const std::int64_t here = std::min(length, width - column);
                     const std::int64_t tap =
                         row * c_.window.stride.height * columns_ + column * c_.window.stride.width;
                     segments.at[segments.count++] = {lane, here, image * channels * plane() + tap};
                     lane += here, position += here, length -= here;
                   }
                 });
}

/// The unfolded input: to[(channel, kernel row, kernel column)][lane], rows `stride` floats apart, zero in lanes
/// without position. Copies whole groups of 8 floats: what is too much is overwritten by the next segment or row.
void Conv2dCpu::unfold(const float* padded, const Segments& block, std::int64_t channels, std::int64_t stride,
                       float* to) const {
  const Window& window = c_.window;
  const Segment& last = block.at[block.count - 1];
  const std::int64_t used = last.lane + last.length, step = window.stride.width;
  for (std::int64_t channel = 0; channel < channels; ++channel)
    for (std::int64_t y = 0; y < window.kernel.height; ++y)
      for (std::int64_t x = 0; x < window.kernel.width; ++x, to += stride) {
        const float* tap =
            padded + channel * plane() + y * window.dilation.height * columns_ + x * window.dilation.width;
        for (const Segment& segment : block) {
          const float* from = tap + segment.offset;
          float* lane = to + segment.lane;
          if (step == 1)
            for (std::int64_t j = 0; j < segment.length; j += 8) std::memcpy(lane + j, from + j, 8 * sizeof(float));
          else
            for (std::int64_t j = 0; j < segment.length; ++j) lane[j] = from[j * step];
        }
        for (std::int64_t j = used; j < stride; ++j) to[j] = 0.0f;
      }
}

/// The reverse: adds unfolded[(channel, kernel row, kernel column)][lane] to the padded gradient at its tap.
void Conv2dCpu::fold(const float* unfolded, std::int64_t stride, const Segments& block, float* padded) const {
  const Window& window = c_.window;
  const std::int64_t step = window.stride.width;
  for (std::int64_t channel = 0; channel < c_.group_inputs(); ++channel)
    for (std::int64_t y = 0; y < window.kernel.height; ++y)
      for (std::int64_t x = 0; x < window.kernel.width; ++x, unfolded += stride) {
        float* tap = padded + channel * plane() + y * window.dilation.height * columns_ + x * window.dilation.width;
        for (const Segment& segment : block) {
          const float* lane = unfolded + segment.lane;
          float* to = tap + segment.offset;
          if (step == 1)
            for (std::int64_t j = 0; j < segment.length; ++j) to[j] += lane[j];
          else
            for (std::int64_t j = 0; j < segment.length; ++j) to[j * step] += lane[j];
        }
      }
}

/// One padded channel without its padding.
void Conv2dCpu::crop(const float* padded, float* to) const {
  padded += c_.window.before.height * columns_ + c_.window.before.width;
  for (std::int64_t row = 0; row < c_.input.height; ++row)
    std::copy_n(padded + row * columns_, c_.input.width, to + row * c_.input.width);
}

void Conv2dCpu::forward(const KernelCall& call) {
  Scratch scratch(call.workspace);
  const ForwardArrays arrays = cut_forward(scratch, call.images, call.cpu().cores());
  pad(call, arrays.padded);
  const float* bias = c_.bias ? call.parameters[1].data : nullptr;
  const std::int64_t all = call.images * c_.positions(), outputs = c_.group_outputs(), depth = c_.depth();
  const std::int64_t blocks = (all + block_positions() - 1) / block_positions();
  const auto run = [&](std::int64_t item, int worker) {
    const std::int64_t first = item / c_.groups * block_positions(), group = item % c_.groups;
    const std::int64_t count = std::min(block_positions(), all - first);
    float *panels = arrays.panels.of(worker), *product = arrays.product.of(worker);
    const float* padded = arrays.padded + group * c_.group_inputs() * plane();
    Segments segments;
    for (std::int64_t at = 0; at < count; at += panel_columns) {
      find_segments(first + at, std::min(panel_columns, count - at), c_.input.channels, segments);
      unfold(padded, segments, c_.group_inputs(), panel_columns, panels + at * depth);
    }
    multiply({call.parameters[0].data + group * outputs * depth, depth, 1}, {panels, depth * panel_columns},
             {product, block_positions()}, {outputs, count, depth}, false);
    for_each_image(first, count, c_.positions(),
                   [&](std::int64_t lane, std::int64_t length, std::int64_t image, std::int64_t position) {
                     for (std::int64_t o = 0; o < outputs; ++o) {
                       const std::int64_t channel = group * outputs + o;
                       const float add = bias ? bias[channel] : 0.0f, *from = product + o * block_positions() + lane;
                       float* to =
                           call.output.data + (image * c_.output.channels + channel) * c_.positions() + position;
                       for (std::int64_t j = 0; j < length; ++j) to[j] = from[j] + add;
                     }
                   });
  };
  call.cpu().parallel_for(blocks * c_.groups, 1, [&](std::int64_t begin, std::int64_t end, int worker) {
    for (std::int64_t item = begin; item < end; ++item) run(item, worker);
  });
}

/// An item is a set of whole images: as many as one block of positions holds, or one image that is cut into blocks from
/// its own first position. Either way an image's gradient is summed in an order that knows nothing of its neighbours.
void Conv2dCpu::input_gradients(const KernelCall& call) {
  if (!call.input_gradients[0]) return;
  Scratch scratch(call.workspace);
  const InputArrays arrays = cut_inputs(scratch, call.cpu().cores());
  const std::int64_t outputs = c_.group_outputs(), inputs = c_.group_inputs(), depth = c_.depth();
  const std::int64_t sets = (call.images + images_a_set_ - 1) / images_a_set_;
  const auto run = [&](std::int64_t item, int worker) {
    const std::int64_t first_image = item / c_.groups * images_a_set_, group = item % c_.groups;
    const std::int64_t images = std::min(images_a_set_, call.images - first_image), all = images * c_.positions();
    float *panels = arrays.panels.of(worker), *product = arrays.product.of(worker), *padded = arrays.padded.of(worker);
    std::fill_n(padded, images * inputs * plane(), 0.0f);
    const float* gradient =
        call.output_gradient.data + (first_image * c_.output.channels + group * outputs) * c_.positions();
    for (std::int64_t first = 0; first < all; first += block_positions()) {
      const std::int64_t count = std::min(block_positions(), all - first);
      for (std::int64_t at = 0; at < count; at += panel_columns)
        for_each_image(first + at, std::min(panel_columns, count - at), c_.positions(),
                       [&](std::int64_t lane, std::int64_t length, std::int64_t image, std::int64_t position) {
                         const float* from = gradient + image * c_.output.channels * c_.positions() + position;
                         float* to = panels + at * outputs + lane;
                         for (std::int64_t o = 0; o < outputs; ++o)
                           std::copy_n(from + o * c_.positions(), length, to + o * panel_columns);
                       });
      multiply({call.parameters[0].data + group * outputs * depth, 1, depth}, {panels, outputs * panel_columns},
               {product, block_positions()}, {depth, count, outputs}, false);
      Segments segments;
      find_segments(first, count, inputs, segments);
      fold(product, block_positions(), segments, padded);
    }
    for (std::int64_t image = 0; image < images; ++image)
      for (std::int64_t channel = 0; channel < inputs; ++channel)
        crop(padded + (image * inputs + channel) * plane(),
             call.input_gradients[0].data + ((first_image + image) * c_.input.channels + group * inputs + channel) *
                                                c_.input.height * c_.input.width);
  };
  call.cpu().parallel_for(sets * c_.groups, 1, [&](std::int64_t begin, std::int64_t end, int worker) {
    for (std::int64_t item = begin; item < end; ++item) run(item, worker);
  });
}

/// One chunk of images, one group, one block of input channels: its part of the transposed weight gradient, one
/// block of positions after another.
void Conv2dCpu::chunk_gradient(const KernelCall& call, const ParameterArrays& arrays, std::int64_t item,
                               int worker) const {
  const std::int64_t outputs = c_.group_outputs(), inputs = c_.group_inputs(), positions = c_.positions();
  const std::int64_t blocks = (inputs + channels_a_block_ - 1) / channels_a_block_;
  const std::int64_t channel = item % blocks * channels_a_block_, group = item / blocks % c_.groups;
  const std::int64_t chunk = item / blocks / c_.groups, channels = std::min(channels_a_block_, inputs - channel);
  const std::int64_t images = images_a_chunk(call.images), first_image = chunk * images;
  const std::int64_t begin = first_image * positions;
  const std::int64_t end = std::min(call.images, first_image + images) * positions;
  const float* padded = arrays.padded + (group * inputs + channel) * plane();
  const float* gradient = call.output_gradient.data + group * outputs * positions;
  float* partial = arrays.partial + chunk * weights() + (group * c_.depth() + channel * c_.window.taps()) * outputs;
  float *unfolded = arrays.unfolded.of(worker), *transposed = arrays.transposed.of(worker);
  Segments segments;
  for (std::int64_t first = begin; first < end; first += summed_positions) {
    const std::int64_t count = std::min(summed_positions, end - first);
    find_segments(first, count, c_.input.channels, segments);
    unfold(padded, segments, channels, summed_positions, unfolded);
    for_each_image(first, count, positions,
                   [&](std::int64_t lane, std::int64_t length, std::int64_t image, std::int64_t position) {
                     for (std::int64_t o = 0; o < outputs; ++o) {
                       const float* from = gradient + (image * c_.output.channels + o) * positions + position;
                       float* to = transposed + (o / panel_columns * summed_positions + lane) * panel_columns +
                                   o % panel_columns;
                       for (std::int64_t j = 0; j < length; ++j) to[j * panel_columns] = from[j];
                     }
                   });
    multiply({unfolded, summed_positions, 1}, {transposed, summed_positions * panel_columns}, {partial, outputs},
             {channels * c_.window.taps(), outputs, count}, first > begin);
  }
}

void Conv2dCpu::parameter_gradients(const KernelCall& call) {
  Scratch scratch(call.workspace);
  const ParameterArrays arrays = cut_parameters(scratch, call.images, call.cpu().cores());
  pad(call, arrays.padded);
  const std::int64_t blocks = (c_.group_inputs() + channels_a_block_ - 1) / channels_a_block_;
  const std::int64_t items = chunks(call.images) * c_.groups * blocks;
  call.cpu().parallel_for(items, 1, [&](std::int64_t begin, std::int64_t end, int worker) {
    for (std::int64_t item = begin; item < end; ++item) chunk_gradient(call, arrays, item, worker);
  });
  add_chunks(call, arrays.partial);
  if (c_.bias) bias_gradient(call);
}

/// The weight gradient: the chunks' parts in order, turned back to [output][depth]. By 16 outputs, a line of the cache.
void Conv2dCpu::add_chunks(const KernelCall& call, const float* partial) const {
  const std::int64_t outputs = c_.group_outputs(), depth = c_.depth(), all = chunks(call.images);
  float* to = call.parameter_gradients[0].data;
  call.cpu().parallel_for(c_.output.channels, 16, [&](std::int64_t begin, std::int64_t end, int) {
    for (std::int64_t first = begin, last; first < end; first = last) {
      const std::int64_t group = first / outputs;
      last = std::min({end, first + 16, (group + 1) * outputs});
      for (std::int64_t k = 0; k < depth; ++k)
        for (std::int64_t channel = first; channel < last; ++channel) {
          const float* from = partial + (group * depth + k) * outputs + channel - group * outputs;
          float sum = from[0];
          for (std::int64_t chunk = 1; chunk < all; ++chunk) sum += from[chunk * weights()];
          to[channel * depth + k] = sum;
        }
    }
  });
}

void Conv2dCpu::bias_gradient(const KernelCall& call) const {
  const std::int64_t channels = c_.output.channels, positions = c_.positions();
  call.cpu().parallel_for(channels, 1, [&](std::int64_t begin, std::int64_t end, int) {
    for (std::int64_t channel = begin; channel < end; ++channel) {
      double sum = 0;
      for (std::int64_t image = 0; image < call.images; ++image)
        sum += fixed_sum(call.output_gradient.data + (image * channels + channel) * positions, positions);
      call.parameter_gradients[1].data[channel] = static_cast<float>(sum);
    }
  });
}

}  // namespace

std::unique_ptr<Kernel> make_conv2d_cpu(const Convolution& convolution) {
  return std::make_unique<Conv2dCpu>(convolution);
}

}  // namespace lenet_flow

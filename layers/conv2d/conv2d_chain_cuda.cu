#include <limits>

#include "devices/cuda/launch.cuh"
#include "layers/conv2d/conv2d_chain.cuh"
#include "layers/conv2d/conv2d_chain.h"
#include "layers/cuda/partial_sums.cuh"

namespace lenet_flow {
namespace {

/// Bits: those of conv2d_cuda.cu and of the single layers' kernels behind it.

/// What a block of the forward and the parameters' gradient kernel keeps of an image: the window of each input plane
/// that the pool's cells reach.
struct PlaneWindow {
  int rows, columns;

  LENET_FLOW_HOST_DEVICE explicit PlaneWindow(const ChainSizes& sizes)
      : rows(sizes.cell_rows * sizes.cell - 1 + sizes.kernel_rows),
        columns(sizes.cell_columns * sizes.cell - 1 + sizes.kernel_columns) {}
  LENET_FLOW_HOST_DEVICE int elements() const { return rows * columns; }
};

/// A block an image and `block_outputs` output channels (blocks: y); a thread a cell of the pool for all of those
/// channels, so that what it loads of the image serves cell x cell positions of each.
template <int kernel_columns, int cell, int block_outputs>
__global__ void chain_forward(ChainSizes sizes, const float* inputs, const float* weights, const float* biases,
                              float* outputs, ChainSaved saved) {
  const PlaneWindow window(sizes);
  const int depth = sizes.inputs * sizes.taps();
  Shared<float>* const planes = dynamic_shared();
  Shared<float>* const filters = planes + sizes.inputs * window.elements();
  load_planes(planes, window.rows, window.columns,
              inputs + std::int64_t{blockIdx.x} * sizes.inputs * sizes.height * sizes.width, sizes.inputs, sizes);
  const float* const first_filter = weights + std::int64_t{blockIdx.y} * block_outputs * depth;
  for (int i = static_cast<int>(threadIdx.x); i < block_outputs * depth; i += static_cast<int>(blockDim.x))
    filters[i] = first_filter[i];
  __syncthreads();
  for (int at = static_cast<int>(threadIdx.x); at < sizes.cells(); at += static_cast<int>(blockDim.x)) {
    const int cell_row = at / sizes.cell_columns, cell_column = at % sizes.cell_columns;
    float sums[block_outputs][cell][cell] = {};
    for (int channel = 0; channel < sizes.inputs; ++channel) {
      for (int tap_row = 0; tap_row < sizes.kernel_rows; ++tap_row) {
        float x[cell][kernel_columns + cell - 1];
        for (int row = 0; row < cell; ++row)
          for (int column = 0; column < kernel_columns + cell - 1; ++column)
            x[row][column] = planes[channel * window.elements() + (cell_row * cell + row + tap_row) * window.columns +
                                    cell_column * cell + column];
        const int tap = (channel * sizes.kernel_rows + tap_row) * kernel_columns;
        for (int tap_column = 0; tap_column < kernel_columns; ++tap_column)
          for (int output = 0; output < block_outputs; ++output) {
            const float weight = filters[output * depth + tap + tap_column];
            for (int row = 0; row < cell; ++row)
              for (int column = 0; column < cell; ++column)
                sums[output][row][column] = fmaf(weight, x[row][column + tap_column], sums[output][row][column]);
          }
      }
    }
    for (int output = 0; output < block_outputs; ++output) {
      const int channel = static_cast<int>(blockIdx.y) * block_outputs + output;
      const std::int64_t plane = std::int64_t{blockIdx.x} * sizes.outputs + channel;
      const std::int64_t to = plane * sizes.cells() + at;
      const float bias = biases ? biases[channel] : 0.0f;
      float largest = -std::numeric_limits<float>::infinity(), total = 0;
      int place = -1;
      for (int row = 0; row < cell; ++row)
        for (int column = 0; column < cell; ++column) {
          const float sum = sums[output][row][column];
          const float y = sizes.activation.output(biases ? sum + bias : sum);
          if (y > largest || y != y || place < 0) {
            largest = y;
            place = row * cell + column;
          }
          total += y;
          if (saved.activations)
            saved.activations[plane * sizes.positions() + std::int64_t{cell_row * cell + row} * sizes.columns +
                              cell_column * cell + column] = y;
        }
      outputs[to] = saved.places ? largest : total / sizes.pool_taps();
      if (saved.places) saved.places[to] = static_cast<std::uint8_t>(place);
    }
  }
}

/// A block an image and an input channel (blocks: y); a thread an element of it. The gradients of all output channels
/// lie in shared memory with zeros around them, so that no tap needs to ask where it is.
__global__ void chain_input_gradient(ChainGradients gradients, const float* weights, float* input_gradients) {
  const ChainSizes& sizes = gradients.sizes;
  const int rows = sizes.height + sizes.kernel_rows - 1, columns = sizes.width + sizes.kernel_columns - 1;
  const int channel = static_cast<int>(blockIdx.y);
  Shared<float>* const planes = dynamic_shared();
  Shared<float>* const filters = planes + sizes.outputs * rows * columns;
  for (int i = static_cast<int>(threadIdx.x); i < sizes.outputs * rows * columns; i += static_cast<int>(blockDim.x)) {
    const int output = i / (rows * columns);
    const int row = i % (rows * columns) / columns + sizes.before_rows - (sizes.kernel_rows - 1);
    const int column = i % columns + sizes.before_columns - (sizes.kernel_columns - 1);
    const bool inside = row >= 0 && row < sizes.rows && column >= 0 && column < sizes.columns;
    planes[i] = inside ? gradients.at(std::int64_t{blockIdx.x} * sizes.outputs + output, row, column) : 0.0f;
  }
  for (int i = static_cast<int>(threadIdx.x); i < sizes.outputs * sizes.taps(); i += static_cast<int>(blockDim.x))
    filters[i] = weights[(i / sizes.taps() * sizes.inputs + channel) * sizes.taps() + i % sizes.taps()];
  __syncthreads();
  const int elements = sizes.height * sizes.width;
  for (int at = static_cast<int>(threadIdx.x); at < elements; at += static_cast<int>(blockDim.x)) {
    const int in_row = at / sizes.width, in_column = at % sizes.width;
    float sum = 0;
    for (int output = 0; output < sizes.outputs; ++output)
      for (int tap_row = 0; tap_row < sizes.kernel_rows; ++tap_row) {
        const int first =
            (output * rows + in_row + sizes.kernel_rows - 1 - tap_row) * columns + in_column + sizes.kernel_columns - 1;
        const int tap = (output * sizes.kernel_rows + tap_row) * sizes.kernel_columns;
        for (int tap_column = 0; tap_column < sizes.kernel_columns; ++tap_column) {
          const float gradient = planes[first - tap_column];
          const float added = fmaf(filters[tap + tap_column], gradient, sum);
          if (gradient != 0) sum = added;
        }
      }
    input_gradients[(std::int64_t{blockIdx.x} * sizes.inputs + channel) * elements + at] = sum;
  }
}

/// The gradients of one image's output channel that may be other than zero, in row order, with where the first tap of
/// each reads the planes. max_pool: one a cell. Called by all threads of a block.
__device__ void list_gradients(const ChainGradients& gradients, const PlaneWindow& window, std::int64_t plane,
                               Shared<float>* list, Shared<float>* places) {
  const ChainSizes& sizes = gradients.sizes;
  const bool maximum = sizes.pool == PoolPart::Kind::maximum;
  const int width = sizes.cell_columns * sizes.cell;
  const int count = maximum ? sizes.cells() : sizes.cell_rows * sizes.cell * width;
  for (int i = static_cast<int>(threadIdx.x); i < count; i += static_cast<int>(blockDim.x)) {
    if (!maximum) {
      list[i] = gradients.at(plane, i / width, i % width);
      places[i] = static_cast<float>(i / width * window.columns + i % width);
      continue;
    }
    const int cell_row = i / sizes.cell_columns, cell_column = i % sizes.cell_columns;
    const std::int64_t first = plane * sizes.cells() + i - cell_column;
    const int place = gradients.saved.places[first + cell_column], row = place / sizes.cell;
    // Behind those of its cells' row that lie in rows above, and those to its left in its own.
    int before = 0;
    for (int other = 0; other < sizes.cell_columns; ++other) {
      const int other_row = gradients.saved.places[first + other] / sizes.cell;
      before += other_row < row || (other_row == row && other < cell_column);
    }
    const int at = cell_row * sizes.cell_columns + before;
    list[at] = gradients.at_greatest(first + cell_column);
    places[at] = static_cast<float>((cell_row * sizes.cell + row) * window.columns + cell_column * sizes.cell +
                                    place % sizes.cell);
  }
}

/// A block a chunk of images and an output channel (blocks: y); a thread a weight of that channel, and one its bias.
__global__ void chain_parameter_gradient(ChainGradients gradients, const float* inputs, std::int64_t images,
                                         ImageChunks cut, GradientArrays to, float* partial) {
  const ChainSizes& sizes = gradients.sizes;
  const PlaneWindow window(sizes);
  const int output = static_cast<int>(blockIdx.y), depth = sizes.inputs * sizes.taps();
  const int listed = sizes.cells() * (sizes.pool == PoolPart::Kind::maximum ? 1 : sizes.cell * sizes.cell);
  Shared<float>* const planes = dynamic_shared();
  Shared<float>* const list = planes + sizes.inputs * window.elements();
  Shared<float>* const places = list + listed;
  const int me = static_cast<int>(threadIdx.x), tap = me % sizes.taps();
  const int first =
      me / sizes.taps() * window.elements() + tap / sizes.kernel_columns * window.columns + tap % sizes.kernel_columns;
  const std::int64_t begin = blockIdx.x * cut.images_per_chunk;
  const std::int64_t end = begin + cut.images_per_chunk < images ? begin + cut.images_per_chunk : images;
  float sum = 0;
  for (std::int64_t image = begin; image < end; ++image) {
    __syncthreads();
    load_planes(planes, window.rows, window.columns, inputs + image * sizes.inputs * sizes.height * sizes.width,
                sizes.inputs, sizes);
    list_gradients(gradients, window, image * sizes.outputs + output, list, places);
    __syncthreads();
    if (me < depth) {
      for (int i = 0; i < listed; ++i) {
        const float gradient = list[i];
        if (gradient != 0) sum = fmaf(gradient, planes[first + static_cast<int>(places[i])], sum);
      }
    } else if (me == depth) {
      for (int i = 0; i < listed; ++i)
        if (list[i] != 0) sum = sum + list[i];
    }
  }
  if (me > depth || (me == depth && to.bias_elements == 0)) return;
  const std::int64_t i = me < depth ? std::int64_t{output} * depth + me : to.weight_elements + output;
  if (partial)
    partial[blockIdx.x * to.elements() + i] = sum;
  else
    *to.element(i) = sum;
}

using ForwardKernel = void (*)(ChainSizes, const float*, const float*, const float*, float*, ChainSaved);

template <int kernel_columns, int cell>
ForwardKernel forward_kernel(int block_outputs) {
  switch (block_outputs) {
    case 4: return chain_forward<kernel_columns, cell, 4>;
    case 3: return chain_forward<kernel_columns, cell, 3>;
    case 2: return chain_forward<kernel_columns, cell, 2>;
    default: return chain_forward<kernel_columns, cell, 1>;
  }
}

/// Output channels of a block: a divisor of all.
int block_outputs_of(int outputs) {
  for (const int count : {4, 3, 2})
    if (outputs % count == 0) return count;
  return 1;
}

unsigned whole_warps(int threads, int most) { return static_cast<unsigned>(std::min((threads + 31) / 32 * 32, most)); }

class Conv2dChainCuda final : public Kernel {
 public:
  Conv2dChainCuda(const ChainSizes& sizes, bool bias)
      : sizes_(sizes), window_(sizes), bias_(bias), block_outputs_(block_outputs_of(sizes.outputs)) {
    const bool five = sizes.kernel_columns == 5;
    if (sizes.cell == 2)
      forward_ = five ? forward_kernel<5, 2>(block_outputs_) : forward_kernel<3, 2>(block_outputs_);
    else
      forward_ = five ? forward_kernel<5, 3>(block_outputs_) : forward_kernel<3, 3>(block_outputs_);
  }

  /// Whether blocks have room for what they keep in shared memory, and threads for a channel's weights.
  bool fits() const {
    constexpr int most_threads = 1024;
    return std::max({forward_floats(), input_gradient_floats(), parameter_gradient_floats()}) <= most_shared_floats &&
           depth() + 1 <= most_threads;
  }

  std::size_t saved_bytes(std::int64_t images) const override { return ChainSaved::bytes(sizes_, images); }
  std::size_t workspace_bytes(std::int64_t images, int) const override {
    return partial_bytes(sizes_.weights() + (bias_ ? sizes_.outputs : 0), images, 1);
  }

  void forward(const KernelCall& call) override {
    launch(*call.queue, "conv2d chain forward",
           {.blocks = static_cast<unsigned>(call.images),
            .threads = whole_warps(sizes_.cells(), 256),
            .rows = static_cast<unsigned>(sizes_.outputs / block_outputs_),
            .shared_floats = forward_floats()},
           forward_, sizes_, call.inputs[0].data, call.parameters[0].data, bias_ ? call.parameters[1].data : nullptr,
           call.output.data, ChainSaved(sizes_, call.saved));
  }

  void input_gradients(const KernelCall& call) override {
    if (!call.input_gradients[0]) return;
    launch(*call.queue, "conv2d chain I",
           {.blocks = static_cast<unsigned>(call.images),
            .threads = whole_warps(sizes_.height * sizes_.width, 256),
            .rows = static_cast<unsigned>(sizes_.inputs),
            .shared_floats = input_gradient_floats()},
           chain_input_gradient, gradients(call), call.parameters[0].data, call.input_gradients[0].data);
  }

  void parameter_gradients(const KernelCall& call) override {
    const GradientArrays to{call.parameter_gradients[0].data, bias_ ? call.parameter_gradients[1].data : nullptr,
                            sizes_.weights(), bias_ ? sizes_.outputs : 0};
    const ImageChunks cut(to.elements(), call.images, 1);
    float* partial = cut.chunks > 1 ? reinterpret_cast<float*>(call.workspace.data()) : nullptr;
    launch(*call.queue, "conv2d chain W",
           {.blocks = static_cast<unsigned>(cut.chunks),
            .threads = whole_warps(depth() + 1, 1024),
            .rows = static_cast<unsigned>(sizes_.outputs),
            .shared_floats = parameter_gradient_floats()},
           chain_parameter_gradient, gradients(call), call.inputs[0].data, call.images, cut, to, partial);
    if (partial) add_up(*call.queue, "conv2d chain W, sum", partial, cut.chunks, to);
  }

 private:
  int depth() const { return sizes_.inputs * sizes_.taps(); }
  ChainGradients gradients(const KernelCall& call) const {
    return {sizes_, ChainSaved(sizes_, call.saved), call.output.data, call.output_gradient.data};
  }
  std::int64_t forward_floats() const {
    return std::int64_t{sizes_.inputs} * window_.elements() + std::int64_t{block_outputs_} * depth();
  }
  std::int64_t input_gradient_floats() const {
    const std::int64_t plane =
        std::int64_t{sizes_.height + sizes_.kernel_rows - 1} * (sizes_.width + sizes_.kernel_columns - 1);
    return sizes_.outputs * (plane + sizes_.taps());
  }
  std::int64_t parameter_gradient_floats() const {
    const int listed = sizes_.cells() * (sizes_.pool == PoolPart::Kind::maximum ? 1 : sizes_.cell * sizes_.cell);
    return std::int64_t{sizes_.inputs} * window_.elements() + 2 * std::int64_t{listed};
  }

  ChainSizes sizes_;
  PlaneWindow window_;
  bool bias_;
  int block_outputs_;
  ForwardKernel forward_;
};

bool is(const Extent& extent, std::int64_t size) { return extent.height == size && extent.width == size; }

}  // namespace

std::unique_ptr<Kernel> make_conv2d_chain_cuda(const Convolution& convolution, const ActivationPart& activation,
                                               const PoolPart& pool) {
  const Window& window = convolution.window;
  const std::int64_t cell = pool.window.kernel.height;
  constexpr std::int64_t most_extent_here = 1024;  // far more than shared memory has room for
  const bool plain = convolution.groups == 1 && is(window.stride, 1) && is(window.dilation, 1) &&
                     (window.kernel.width == 3 || window.kernel.width == 5) &&
                     std::max({convolution.input.channels, convolution.input.height, convolution.input.width,
                               convolution.output.channels, window.kernel.height}) <= most_extent_here;
  const bool pooled = pool.kind != PoolPart::Kind::none && (cell == 2 || cell == 3) && is(pool.window.kernel, cell) &&
                      is(pool.window.stride, cell) && is(pool.window.before, 0) && is(pool.window.after, 0);
  if (!plain || !pooled) return nullptr;
  const auto number = [](std::int64_t value) { return static_cast<int>(value); };
  const ChainSizes sizes{.inputs = number(convolution.input.channels),
                         .height = number(convolution.input.height),
                         .width = number(convolution.input.width),
                         .outputs = number(convolution.output.channels),
                         .rows = number(convolution.output.height),
                         .columns = number(convolution.output.width),
                         .kernel_rows = number(window.kernel.height),
                         .kernel_columns = number(window.kernel.width),
                         .before_rows = number(window.before.height),
                         .before_columns = number(window.before.width),
                         .cell = number(cell),
                         .cell_rows = number(convolution.output.height / cell),
                         .cell_columns = number(convolution.output.width / cell),
                         .pool = pool.kind,
                         .activation = {activation}};
  auto kernel = std::make_unique<Conv2dChainCuda>(sizes, convolution.bias);
  return kernel->fits() ? std::move(kernel) : nullptr;
}

}  // namespace lenet_flow

#pragma once

#include "devices/cuda/launch.cuh"
#include "layers/losses/rows.h"

namespace lenet_flow {

struct LossArrays {
  const float* outputs;
  const std::int32_t* labels;
  float* gradients;  ///< null when inferring
  float* losses;
  std::int32_t* predicted;
};

/// A thread an image.
template <typename Rule>
__global__ void loss_rows(Rule rule, LossArrays arrays, std::int64_t elements, std::int64_t images) {
  for_each_element(images, [&](std::int64_t image) {
    const LossRow row = loss_row(arrays.outputs, arrays.labels, arrays.gradients, elements, image);
    arrays.losses[image] = static_cast<float>(rule(row, arrays.predicted[image]));
  });
}

/// The CUDA code of a loss: run_rows() of a GPU. Few threads a block, so that a micro-batch is spread over the GPU.
template <typename Rule>
void run_rows_cuda(const LossCall& call, const char* name, const Rule& rule) {
  const LossArrays arrays{call.output.data, call.labels.data(), call.output_gradient.data, call.losses.data(),
                          call.predicted.data()};
  constexpr std::int64_t threads = 32;
  const LaunchShape shape{static_cast<unsigned>((call.output.images + threads - 1) / threads), threads};
  launch(*call.queue, name, shape, loss_rows<Rule>, rule, arrays, call.output.shape.elements(), call.output.images);
}

}  // namespace lenet_flow

#include <doctest/doctest.h>

#include <string>

#include "layers/registry.h"
#include "tests/layers/support.h"

using namespace lenet_flow;
using namespace lenet_flow::test;

// These tests are linked without the CUDA code, as a build without nvcc is.

TEST_CASE("without CUDA, a loss refuses a GPU, by name") {
  for (const char* name : {"softmax_cross_entropy", "binary_cross_entropy", "mean_squared_error"}) {
    const LossType* type = find_loss_type(name);
    const auto loss = type->make(attributes(type->attributes));
    const std::string message = std::string(name) + " has no code for this kind of device";
    CHECK_THROWS_WITH_AS(loss->run(DeviceKind::cuda, {}), message.c_str(), std::logic_error);
  }
}

TEST_CASE("without CUDA, an optimizer refuses a GPU, by name") {
  for (const char* name : {"sgd", "adam", "adamw"}) {
    const OptimizerType* type = find_optimizer_type(name);
    const auto optimizer = type->make(attributes(type->attributes));
    const std::string message = std::string(name) + " has no code for this kind of device";
    CHECK_THROWS_WITH_AS(optimizer->update(DeviceKind::cuda, {}), message.c_str(), std::logic_error);
  }
}

TEST_CASE("without CUDA, no layer has a kernel for a GPU") {
  for (const char* name : {"relu", "softmax", "flatten", "add", "global_avg_pool", "batch_norm"}) {
    CAPTURE(name);
    const LayerType* type = find_layer_type(name);
    const std::vector<Shape> inputs(static_cast<std::size_t>(type->minimum_inputs), Shape{2, 3, 3});
    const auto layer = type->make(attributes(type->attributes));
    CHECK(layer->make_kernel(DeviceKind::cuda, "a", inputs, layer->output_shape(inputs)) == nullptr);
  }
}

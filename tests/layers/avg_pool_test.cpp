#include <doctest/doctest.h>

#include "tests/layers/layer_run.h"

using namespace lenet_flow;
using namespace lenet_flow::test;

TEST_CASE("padding counts in the mean, as PyTorch's avg_pool2d does by default") {
  const LayerCase layer_case =
      make_case(*find_layer_type("avg_pool"), {{"kernel", Extent{2, 2}}, {"padding", Extent{1, 1}}}, {{1, 2, 2}}, 1);
  LayerData data = make_data(layer_case, Mode::train);
  data.inputs = {{4, 8, 12, 16}};
  data.output_gradient = {4, 8, 12, 16};
  DeviceUnderTest under_test = std::move(devices_under_test().front());
  const LayerResults results = run_layer(layer_case, data, under_test);
  CHECK(results.output == std::vector<float>{1, 2, 3, 4});
  CHECK(results.input_gradients[0] == std::vector<float>{1, 2, 3, 4});
}

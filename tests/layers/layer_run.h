#pragma once

#include <vector>

#include "tests/layers/devices_under_test.h"
#include "tests/layers/layer_case.h"

namespace lenet_flow::test {

/// What came out of one micro-batch, in the standard layout.
struct LayerResults {
  std::vector<float> output;
  std::vector<std::vector<float>> input_gradients;      ///< empty where not asked for
  std::vector<std::vector<float>> parameter_gradients;  ///< empty where not trained
  std::vector<float> statistics;
  std::vector<std::vector<float>> folded;  ///< the parameters after fold_statistics()
};

/// Which actions a run does after forward.
struct Actions {
  bool backward = true;
  std::size_t skipped_input = static_cast<std::size_t>(-1);  ///< nobody asks for this input's gradient
};

/// Runs forward, I, W and fold_statistics of a new kernel with data.samples.size() images. All memory is full of NaN
/// beforehand, and between blocks of memory lie guards: throws std::runtime_error where a kernel wrote past its memory
/// or where fold_statistics is missing.
LayerResults run_layer(const LayerCase& layer_case, const LayerData& data, DeviceUnderTest& under_test,
                       const Actions& actions = {});

}  // namespace lenet_flow::test

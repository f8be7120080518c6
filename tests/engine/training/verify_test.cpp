#include "engine/training/verify.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "tests/engine/training/small_training.h"
#include "tests/engine/training/wrong_layer.h"

using namespace lenet_flow;
using namespace lenet_flow::test;

namespace {

/// Two stages, images in their order: batch n has images 16 (n - 1) to 16 n - 1, in micro-batches of 6, 6 and 4.
RunOptions in_order(const SmallTraining& small) { return small.options(true, {"data.shuffle=false"}); }

/// Verification trains by the file's schedule and by `sequential` in turns: kernels are made for one, then the other.
bool by_file_schedule(int kernel) { return kernel % 2 == 0; }

bool has_sample(const KernelCall& call, std::uint32_t sample) {
  return std::find(call.facts.samples.begin(), call.facts.samples.end(), sample) != call.facts.samples.end();
}

const LayerVerification::Layer& row(const LayerVerification& verification, const std::string& name) {
  const auto found = std::find_if(verification.layers.begin(), verification.layers.end(),
                                  [&](const LayerVerification::Layer& layer) { return layer.name == name; });
  REQUIRE(found != verification.layers.end());
  return *found;
}

}  // namespace

TEST_CASE("verify finds gpipe and sequential equal, over part of an epoch and over several") {
  const SmallTraining small;
  for (const std::uint64_t steps : {0u, 3u, 16u}) {
    const Verification verification = verify_graph(small.options(true), steps);
    CHECK(verification.equal());
    CHECK(!verification.interrupted);
    CHECK(verification.schedule == "gpipe");
    CHECK(verification.steps == (steps ? steps : 7));
    CHECK(verification.parameters == 4);
    CHECK(verification.elements == 3 * 9 + 3 + 4 * 48 + 4);
    CHECK(verification.sha256 == verification.reference_sha256);
  }
  // One epoch by verify is one epoch by run.
  CHECK(verify_graph(small.options(true), 0).sha256 ==
        run_graph(small.options(false, {"training.epochs=1"})).parameters_sha256);
}

TEST_CASE("verify compares every loss, every parameter and all optimizer state") {
  const SmallTraining small;
  const Verification verification = verify_graph(small.options(true), 9);
  CHECK(verification.losses == 6 * 3 + 1 + 2 * 3);  // an epoch's last batch has 4 images
  CHECK(verification.states == 4);                  // momentum
}

TEST_CASE("a wrong output is found in the step and the micro-batch that it is in") {
  const SmallTraining small;
  struct Place {
    std::uint32_t sample, epoch;
    std::uint64_t step;
    int micro_batch;
  };
  for (const Place& place : {Place{40, 1, 3, 2}, {0, 1, 1, 1}, {99, 1, 7, 1}, {95, 2, 13, 3}}) {
    CAPTURE(place.sample);
    RunOptions options = in_order(small);
    make_wrong(options, "conv1", {Fault::Tensor::output, 0.5f, [&](int kernel, const KernelCall& call) {
                                    return by_file_schedule(kernel) && has_sample(call, place.sample) &&
                                           call.facts.epoch == place.epoch;
                                  }});
    const Verification verification = verify_graph(options, 15);
    CHECK(!verification.equal());
    REQUIRE(verification.loss);
    CHECK(verification.loss->step == place.step);
    CHECK(verification.loss->micro_batch == place.micro_batch);
    CHECK(verification.loss->loss != verification.loss->reference);
    REQUIRE(verification.first);
    CHECK(verification.first->reproduced);
    CHECK(verification.first->step == place.step);
    REQUIRE(verification.first->loss);
    CHECK(verification.first->loss->micro_batch == place.micro_batch);
    CHECK(!verification.first->tensors.empty());
    CHECK(!verification.differences.empty());
    CHECK(verification.sha256 != verification.reference_sha256);
  }
}

TEST_CASE("a wrong gradient is found in the step and the layer that it is in") {
  const SmallTraining small;
  for (const std::string layer : {"conv1", "fc1"}) {
    CAPTURE(layer);
    RunOptions options = in_order(small);
    make_wrong(options, layer, {Fault::Tensor::parameter_gradient, 0.5f, [](int kernel, const KernelCall& call) {
                                  return by_file_schedule(kernel) && has_sample(call, 40);
                                }});
    const Verification verification = verify_graph(options, 7);
    REQUIRE(verification.first);
    const FirstDifference& first = *verification.first;
    CHECK(first.reproduced);
    CHECK(first.step == 3);
    CHECK(!first.loss);
    CHECK(first.layer == layer);
    // The weight's gradient alone: the bias stays.
    REQUIRE(first.tensors.size() == 2);
    CHECK(first.tensors[0].tensor == layer + ".weight");
    CHECK(first.tensors[1].tensor == layer + ".weight#momentum");
    for (const TensorDifference& difference : first.tensors) {
      CHECK(difference.layer == layer);
      CHECK(difference.different == difference.elements);
      CHECK(difference.first == 0);
      CHECK(difference.value != difference.reference);
      CHECK(difference.largest >=
            std::abs(static_cast<double>(difference.value) - static_cast<double>(difference.reference)));
    }
    CHECK(first.tensors[1].largest == doctest::Approx(0.5));
    // From the next step on losses differ too, and then other layers.
    REQUIRE(verification.loss);
    CHECK(verification.loss->step == 4);
    CHECK(verification.differences.size() > 4);
  }
}

TEST_CASE("a difference in the last step alone is found there") {
  const SmallTraining small;
  RunOptions options = in_order(small);
  make_wrong(options, "fc1", {Fault::Tensor::input_gradient, 0.5f, [](int kernel, const KernelCall& call) {
                                return by_file_schedule(kernel) && has_sample(call, 70);
                              }});
  const Verification verification = verify_graph(options, 5);
  CHECK(!verification.loss);
  REQUIRE(verification.first);
  CHECK(verification.first->reproduced);
  CHECK(verification.first->step == 5);
  CHECK(verification.first->layer == "conv1");  // fc1's own gradients are right
}

TEST_CASE("a difference that does not come back is told as that") {
  const SmallTraining small;
  RunOptions options = in_order(small);
  make_wrong(options, "conv1", {Fault::Tensor::output, 0.5f, [](int kernel, const KernelCall& call) {
                                  return kernel == 0 && has_sample(call, 40);
                                }});
  const Verification output = verify_graph(options, 7);
  CHECK(!output.equal());
  REQUIRE(output.first);
  CHECK(!output.first->reproduced);
  CHECK(output.first->step == 3);
  REQUIRE(output.first->loss);
  CHECK(output.first->loss->micro_batch == 2);
  CHECK(output.first->tensors.empty());  // what differs after step 7 says nothing of step 3

  make_wrong(options, "conv1", {Fault::Tensor::parameter_gradient, 0.5f, [](int kernel, const KernelCall& call) {
                                  return kernel == 0 && has_sample(call, 99);
                                }});
  const Verification gradient = verify_graph(options, 7);
  CHECK(!gradient.equal());
  CHECK(!gradient.loss);
  REQUIRE(gradient.first);
  CHECK(!gradient.first->reproduced);
  CHECK(gradient.first->step == 7);
  CHECK(gradient.first->layer == "conv1");
}

TEST_CASE("verify has nothing to compare without flush") {
  const SmallTraining small;
  CHECK_THROWS_AS(verify_graph(small.options(true, {"pipeline.schedule=1f1b", "pipeline.flush=false"}), 3), InputError);
}

TEST_CASE("layers on CPU devices are those on another number of cores, to the bit") {
  const SmallTraining small;
  const LayerVerification verification = verify_layers(small.options(true));
  CHECK(verification.within());
  CHECK(verification.cpu_only);
  CHECK(verification.images == 6);
  std::vector<std::string> names;
  for (const LayerVerification::Layer& layer : verification.layers) {
    names.push_back(layer.name);
    CHECK(layer.worst() == 0);
    CHECK(layer.output);
  }
  CHECK(names == std::vector<std::string>{"conv1", "relu1", "pool1", "flat", "drop", "fc1", "loss"});
  CHECK(!row(verification, "conv1").input_gradients);  // nobody asks for the images' gradient
  CHECK(row(verification, "conv1").parameter_gradients);
  CHECK(row(verification, "relu1").input_gradients);
  CHECK(!row(verification, "relu1").parameter_gradients);
  CHECK(row(verification, "fc1").device == "cpu1");
  CHECK(row(verification, "fc1").type == "dense");
  CHECK(row(verification, "fc1").tolerance == 1e-5);
  CHECK(row(verification, "flat").tolerance == 0);
  CHECK(row(verification, "loss").input_gradients);
}

TEST_CASE("a wrong kernel is found, and what is wrong about it") {
  const SmallTraining small;
  // Kernels of a layer: for the pipeline that checks its parameters, the reference's forward, its device, the
  // reference.
  constexpr int on_its_device = 2;
  using Shown = std::optional<double> LayerVerification::Layer::*;
  const std::pair<Fault::Tensor, Shown> tensors[] = {
      {Fault::Tensor::output, &LayerVerification::Layer::output},
      {Fault::Tensor::input_gradient, &LayerVerification::Layer::input_gradients},
      {Fault::Tensor::parameter_gradient, &LayerVerification::Layer::parameter_gradients}};
  for (const auto& [tensor, shown] : tensors) {
    for (const float by : {0.01f, 1e-7f, std::numeric_limits<float>::quiet_NaN()}) {
      CAPTURE(by);
      RunOptions options = small.options(true);
      make_wrong(options, "fc1", {tensor, by, [&](int kernel, const KernelCall&) { return kernel == on_its_device; }});
      const LayerVerification verification = verify_layers(options);
      CHECK(verification.within() == (by < 1e-6f));
      for (const LayerVerification::Layer& layer : verification.layers)
        CHECK((layer.worst() <= 1) == (layer.name != "fc1" || by < 1e-6f));
      const LayerVerification::Layer& fc1 = row(verification, "fc1");
      for (const auto& [other, column] : tensors) CHECK((fc1.*column == 0.0) == (other != tensor));
      CHECK(std::isinf(fc1.worst()) == std::isnan(by));
    }
  }
}

TEST_CASE("a layer that states no tolerance must be exact") {
  const SmallTraining small;
  RunOptions options = small.options(true);
  make_wrong(options, "flat",
             {Fault::Tensor::output, 1e-6f, [](int kernel, const KernelCall&) { return kernel == 2; }});
  const LayerVerification verification = verify_layers(options);
  CHECK(!verification.within());
  CHECK(std::isinf(row(verification, "flat").worst()));
}

TEST_CASE("layers of branches, split layers and stages with replicas are compared, on each of their devices") {
  const SmallTraining small;
  RunOptions options = small.options(true);
  options.graph = small.path("branches.json");
  write_bytes(options.graph, R"({"version": 1, "name": "branches",
    "devices": {"cpu0": {"kind": "cpu"}, "cpu1": {"kind": "cpu"}, "cpu2": {"kind": "cpu", "cores": 2}},
    "data": {"set": "quarters"},
    "layers": [
      {"name": "stem", "type": "conv2d", "out_channels": 4, "kernel": 3, "split": ["cpu0", "cpu1"]},
      {"name": "norm", "type": "batch_norm", "device": "cpu0"},
      {"name": "relu", "type": "relu", "device": "cpu0"},
      {"name": "right", "type": "conv2d", "out_channels": 4, "kernel": 3, "padding": 1, "device": "cpu0"},
      {"name": "sum", "type": "add", "after": ["right", "relu"], "device": "cpu0"},
      {"name": "pool", "type": "global_avg_pool", "device": "cpu1"},
      {"name": "fc", "type": "dense", "out_features": 4, "device": "cpu1"}],
    "loss": {"type": "softmax_cross_entropy"},
    "training": {"epochs": 1, "batch": 16, "optimizer": {"type": "sgd", "learning_rate": 0.1}},
    "pipeline": {"schedule": "gpipe", "micro_batch": 5, "stages": [
      {"name": "body", "layers": ["stem", "norm", "relu", "right", "sum"]},
      {"name": "head", "layers": ["pool", "fc"], "devices": ["cpu1", "cpu2"]}]}})");
  const LayerVerification verification = verify_layers(options);
  CHECK(verification.within());
  std::vector<std::string> where;
  for (const LayerVerification::Layer& layer : verification.layers) where.push_back(layer.name + " " + layer.device);
  CHECK(where == std::vector<std::string>{"stem[0] cpu0", "stem[1] cpu1", "stem cpu0", "norm cpu0", "relu cpu0",
                                          "right cpu0", "sum cpu0", "pool cpu1", "pool cpu2", "fc cpu1", "fc cpu2",
                                          "loss cpu1", "loss cpu2"});
  CHECK(row(verification, "norm").statistics);
  CHECK(row(verification, "stem[1]").parameter_gradients);
  CHECK(verify_graph(options, 0).equal());
}

#include <doctest/doctest.h>

#include "tests/engine/pipeline/rig.h"

using namespace lenet_flow;
using namespace lenet_flow::test;

namespace {

const std::string one_device = R"("a": {"kind": "cpu", "cores": 1})";
const std::string two_devices = R"("a": {"kind": "cpu", "cores": 1}, "b": {"kind": "cpu", "cores": 1})";
const std::string four_devices =
    two_devices + R"(, "c": {"kind": "cpu", "cores": 1}, "d": {"kind": "cpu", "cores": 1})";

/// A small LeNet; the devices of its four parts.
std::string lenet(const std::string& d0, const std::string& d1, const std::string& d2, const std::string& d3) {
  return R"({"name": "conv1", "type": "conv2d", "out_channels": 3, "kernel": 3, "padding": 1, "device": ")" + d0 +
         R"("},
    {"name": "relu1", "type": "relu", "device": ")" +
         d0 + R"("},
    {"name": "pool1", "type": "max_pool", "kernel": 2, "device": ")" +
         d1 + R"("},
    {"name": "conv2", "type": "conv2d", "out_channels": 5, "kernel": 3, "device": ")" +
         d1 + R"("},
    {"name": "relu2", "type": "relu", "device": ")" +
         d2 + R"("},
    {"name": "drop", "type": "dropout", "p": 0.25, "device": ")" +
         d2 + R"("},
    {"name": "flat", "type": "flatten", "device": ")" +
         d2 + R"("},
    {"name": "fc1", "type": "dense", "out_features": 11, "device": ")" +
         d2 + R"("},
    {"name": "tanh", "type": "tanh", "device": ")" +
         d3 + R"("},
    {"name": "fc2", "type": "dense", "out_features": 4, "device": ")" +
         d3 + R"("})";
}

/// Two branches and a skip over a stage, with batch_norm.
std::string branches(const std::string& d0, const std::string& d1, const std::string& d2) {
  return R"({"name": "stem", "type": "conv2d", "out_channels": 4, "kernel": 3, "padding": 1, "device": ")" + d0 + R"("},
    {"name": "norm", "type": "batch_norm", "device": ")" +
         d0 + R"("},
    {"name": "relu", "type": "relu", "device": ")" +
         d0 + R"("},
    {"name": "left", "type": "conv2d", "out_channels": 4, "kernel": 3, "padding": 1, "after": "relu", "device": ")" +
         d1 + R"("},
    {"name": "right", "type": "conv2d", "out_channels": 4, "kernel": 1, "after": "relu", "device": ")" +
         d2 + R"("},
    {"name": "sum", "type": "add", "after": ["left", "right", "relu"], "device": ")" +
         d2 + R"("},
    {"name": "both", "type": "concat", "after": ["sum", "stem"], "device": ")" +
         d2 + R"("},
    {"name": "pool", "type": "global_avg_pool", "device": ")" +
         d2 + R"("},
    {"name": "fc", "type": "dense", "out_features": 4, "device": ")" +
         d2 + R"("})";
}

}  // namespace

TEST_CASE("the parameters after training are those of `sequential`, bit for bit, for any cut") {
  for (const auto& [batch_images, micro_batch_images, pass_images] :
       {std::tuple{8, 8, 40}, {8, 3, 37}, {9, 2, 40}, {10, 1, 21}, {40, 16, 40}}) {
    const int batch = batch_images, micro_batch = micro_batch_images, images = pass_images;
    const std::string pipeline = "\"micro_batch\": " + std::to_string(micro_batch);
    CAPTURE(batch);
    CAPTURE(micro_batch);
    const Rig reference(graph_text(one_device, lenet("a", "a", "a", "a"), pipeline, batch));
    const Rig::Outcome expected = reference.train(reference.options("sequential"), images, 2);
    for (const std::string& layers :
         {lenet("a", "a", "a", "a"), lenet("a", "a", "b", "b"), lenet("a", "b", "c", "d"), lenet("a", "b", "a", "b")}) {
      const Rig rig(graph_text(four_devices, layers, pipeline, batch));
      for (const char* schedule : {"sequential", "gpipe", "1f1b", "zero_bubble_h1", "zero_bubble_h2", "auto"})
        CHECK(difference(rig.train(rig.options(schedule), images, 2), expected) == "");
    }
  }
}

TEST_CASE("skip connections and batch_norm are exact across stages") {
  const std::string pipeline = R"("micro_batch": 3)";
  const Rig reference(graph_text(one_device, branches("a", "a", "a"), pipeline));
  const Rig::Outcome expected = reference.train(reference.options("sequential"), 38, 2);
  for (const std::string& layers : {branches("a", "b", "c"), branches("a", "b", "b"), branches("b", "a", "c")}) {
    const Rig rig(graph_text(four_devices, layers, pipeline));
    CHECK(difference(rig.train(rig.options("gpipe"), 38, 2), expected) == "");
  }
}

TEST_CASE("a device's number of cores changes no bit") {
  const std::string pipeline = R"("micro_batch": 4)";
  const Rig one(graph_text(one_device, lenet("a", "a", "a", "a"), pipeline));
  const Rig two(graph_text(R"("a": {"kind": "cpu", "cores": 2})", lenet("a", "a", "a", "a"), pipeline));
  CHECK(difference(one.train(one.options("gpipe"), 40, 2), two.train(two.options("gpipe"), 40, 2)) == "");
}

TEST_CASE("tight links and few credits change no bit") {
  const std::string pipeline = R"("micro_batch": 2)";
  const Rig rig(graph_text(four_devices, lenet("a", "b", "c", "d"), pipeline));
  const Rig::Outcome expected = rig.train(rig.options("sequential"), 40);
  PipelineOptions options = rig.options("gpipe");
  options.link_capacity = 1;
  CHECK(difference(rig.train(options, 40), expected) == "");
}

TEST_CASE("an evaluation through the pipeline gives the outputs of any other") {
  const std::string pipeline = R"("micro_batch": 3)";
  const Rig one(graph_text(one_device, branches("a", "a", "a"), pipeline));
  const Rig three(graph_text(four_devices, branches("a", "b", "c"), pipeline));
  std::vector<float> outputs[2];
  int at = 0;
  for (const Rig* rig : {&one, &three}) {
    const auto trained = rig->pipeline(rig->options("gpipe"));
    trained->run(rig->request(40));
    PassRequest request = rig->request(40, Mode::infer);
    request.keep_outputs = true;
    const PassResult result = trained->run(request);
    CHECK(result.images == 40);
    CHECK(trained->predicted().size() == 40);
    outputs[at++] = trained->outputs();
  }
  CHECK(outputs[0].size() == 160);
  CHECK(outputs[0] == outputs[1]);
}

TEST_CASE("training learns") {
  const Rig rig(graph_text(two_devices, lenet("a", "a", "b", "b"), R"("micro_batch": 4)"));
  const auto pipeline = rig.pipeline(rig.options("gpipe"));
  PassRequest request = rig.request(40);
  const double first = pipeline->run(request).loss_sum;
  double last = first;
  for (int pass = 0; pass < 15; ++pass) last = pipeline->run(request).loss_sum;
  CHECK(last < 0.5 * first);
}

#include <doctest/doctest.h>

#include "devices/async_device.h"
#include "tests/engine/pipeline/rig.h"

using namespace lenet_flow;
using namespace lenet_flow::test;

namespace {

/// Two GPUs, where there are two, and a CPU core.
std::string devices() {
  const int second = count_cuda_devices() > 1 ? 1 : 0;
  return R"("g": {"kind": "cuda", "index": 0}, "h": {"kind": "cuda", "index": )" + std::to_string(second) +
         R"(}, "c": {"kind": "cpu", "cores": 1})";
}

std::string layer(const std::string& fields, const std::string& device) {
  return "{" + fields + R"(, "device": ")" + device + R"("})";
}

/// A small network of every kind of work: `place` names the device of each of its four parts.
std::string layers(const std::vector<std::string>& place) {
  std::string text;
  const auto add = [&](const std::string& fields, std::size_t part) {
    text += (text.empty() ? "" : ",\n") + layer(fields, place[part]);
  };
  add(R"("name": "conv1", "type": "conv2d", "out_channels": 4, "kernel": 3, "padding": 1)", 0);
  add(R"("name": "relu1", "type": "relu")", 0);
  add(R"("name": "pool1", "type": "max_pool", "kernel": 2)", 0);
  add(R"("name": "conv2", "type": "conv2d", "out_channels": 4, "kernel": 3, "padding": 1)", 1);
  add(R"("name": "norm2", "type": "batch_norm")", 1);
  add(R"("name": "sum2", "type": "add", "after": ["pool1", "norm2"])", 1);
  add(R"("name": "flat", "type": "flatten")", 2);
  add(R"("name": "fc1", "type": "dense", "out_features": 12)", 2);
  add(R"("name": "tanh1", "type": "tanh")", 2);
  add(R"("name": "drop", "type": "dropout", "p": 0.25)", 3);
  add(R"("name": "fc2", "type": "dense", "out_features": 4)", 3);
  return text;
}

std::string graph(const std::vector<std::string>& place, const std::string& pipeline) {
  return graph_text(devices(), layers(place), pipeline);
}

}  // namespace

TEST_CASE("stages on GPUs: every schedule gives the bits of the sequential one, wherever the stages are") {
  const std::vector<std::vector<std::string>> places = {
      {"g", "g", "g", "g"}, {"g", "g", "c", "c"}, {"c", "c", "g", "g"}, {"g", "c", "g", "c"},
      {"c", "g", "c", "g"}, {"g", "h", "g", "h"}, {"g", "h", "c", "g"},
  };
  for (const auto& place : places) {
    CAPTURE(place[0] + place[1] + place[2] + place[3]);
    const Rig rig(graph(place, R"("micro_batch": 2)"));
    const Rig::Outcome sequential = rig.train(rig.options("sequential"), 40, 2);
    for (const char* schedule : {"gpipe", "1f1b", "zero_bubble_h1"}) {
      CAPTURE(schedule);
      CHECK(difference(rig.train(rig.options(schedule), 40, 2), sequential) == "");
    }
  }
  const Rig rig(graph({"g", "c", "g", "h"}, R"("micro_batch": 2, "schedule": "1f1b")"));
  CHECK(difference(rig.train(rig.options(), 40, 2), rig.train(rig.options(), 40, 2)) == "");  // run to run
}

TEST_CASE("stages on GPUs: short batches, recompute, no flush, whole batches") {
  const std::vector<std::string> place = {"g", "c", "g", "c"};
  for (const char* pipeline : {R"("micro_batch": 3, "schedule": "1f1b")", R"("micro_batch": 8, "schedule": "gpipe")",
                               R"("micro_batch": 2, "schedule": "1f1b", "in_flight": 4)"}) {
    CAPTURE(pipeline);
    const Rig rig(graph(place, pipeline), 37);
    CHECK(difference(rig.train(rig.options(), 37, 2), rig.train(rig.options("sequential"), 37, 2)) == "");
  }
}

TEST_CASE("stages on GPUs: evaluation between passes, outputs asked for") {
  const Rig rig(graph({"g", "g", "c", "g"}, R"("micro_batch": 4, "schedule": "1f1b")"));
  const auto pipeline = rig.pipeline(rig.options());
  pipeline->run(rig.request(40));
  PassRequest request = rig.request(40, Mode::infer);
  request.keep_outputs = true;
  pipeline->run(request);
  const std::vector<float> outputs = pipeline->outputs();
  const std::vector<std::int32_t> predicted = pipeline->predicted();
  REQUIRE(outputs.size() == 160);
  for (std::size_t image = 0; image < 40; ++image) {
    const float* row = outputs.data() + 4 * image;
    CHECK(std::max_element(row, row + 4) - row == predicted[image]);
  }
  pipeline->run(request);
  CHECK(pipeline->outputs() == outputs);
}

TEST_CASE("stages on GPUs: replicas, each with memory of its own") {
  for (const std::string replicas : {"gh", "gc", "cg", "chg"}) {
    CAPTURE(replicas);
    const std::string first(1, replicas[0]);
    std::string names;
    for (const char name : replicas) names += (names.empty() ? "\"" : ", \"") + std::string(1, name) + "\"";
    const std::string pipeline =
        R"("micro_batch": 2, "schedule": "1f1b", "stages": [
           {"name": "conv", "layers": ["conv1", "relu1", "pool1", "conv2", "norm2", "sum2"], "devices": [)" +
        names + R"(]}, {"name": "dense", "layers": ["flat", "fc1", "tanh1", "drop", "fc2"]}])";
    const Rig rig(graph({first, first, "c", "c"}, pipeline), 37);
    const Rig::Outcome piped = rig.train(rig.options(), 37, 2);
    CHECK(difference(piped, rig.train(rig.options("sequential"), 37, 2)) == "");
  }
}

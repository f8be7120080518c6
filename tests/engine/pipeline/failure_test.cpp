#include <doctest/doctest.h>

#include <chrono>
#include <set>
#include <stdexcept>
#include <string>

#include "engine/pipeline/run_error.h"
#include "tests/engine/pipeline/rig.h"

using namespace lenet_flow;
using namespace lenet_flow::test;

namespace {

const std::string graph =
    graph_text(R"("a": {"kind": "cpu", "cores": 1}, "b": {"kind": "cpu", "cores": 1})",
               R"({"name": "conv", "type": "conv2d", "out_channels": 3, "kernel": 3, "device": "a"},
       {"name": "relu", "type": "relu", "device": "a"},
       {"name": "flat", "type": "flatten", "device": "b"},
       {"name": "fc", "type": "dense", "out_features": 4, "device": "b"})",
               R"("micro_batch": 3)");

/// Runs until it fails; gives the message. Checks that it ended soon.
std::string failure_of(Pipeline& pipeline, const PassRequest& request) {
  const auto begin = std::chrono::steady_clock::now();
  std::string message;
  try {
    pipeline.run(request);
  } catch (const RunError& error) {
    message = error.what();
  }
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(1));
  return message;
}

}  // namespace

TEST_CASE("an exception at any node ends the run soon and names layer, stage, device and micro-batch") {
  const Rig rig(graph);
  std::set<std::string> nodes;
  {
    PipelineOptions options = rig.options();
    std::mutex mutex;
    options.on_step = [&](const StepFacts& step) {
      const std::lock_guard lock(mutex);
      nodes.insert(std::string(step.what) + letter(step.kind));
    };
    rig.pipeline(options)->run(rig.request(16));
  }
  CHECK(nodes.size() == 10);  // four layers forward and backward, the loss, the update
  for (const std::string& node : nodes) {
    CAPTURE(node);
    PipelineOptions options = rig.options();
    options.on_step = [&](const StepFacts& step) {
      if (std::string(step.what) + letter(step.kind) == node && step.batch == 1 && step.micro_batch % 3 == 0)
        throw std::runtime_error("injected");
    };
    const auto pipeline = rig.pipeline(options);
    const std::string message = failure_of(*pipeline, rig.request(40));
    const std::string name = node.substr(0, node.size() - 1);
    CHECK(message.find("injected") != std::string::npos);
    CHECK(message.find(name) != std::string::npos);
    CHECK(message.find("batch 2, epoch 1") != std::string::npos);
    CHECK((message.find("device 'a'") != std::string::npos || message.find("device 'b'") != std::string::npos));
    if (name != "update") CHECK(message.find("micro-batch 1 of batch 2") != std::string::npos);
  }
}

TEST_CASE("what is thrown need not be an exception of the standard library") {
  const Rig rig(graph);
  PipelineOptions options = rig.options();
  options.on_step = [](const StepFacts&) { throw 7; };
  const auto pipeline = rig.pipeline(options);
  CHECK(failure_of(*pipeline, rig.request(40)).find("failed") != std::string::npos);
}

TEST_CASE("a loss that is no number is traced to the layer where it began") {
  const Rig rig(graph);
  auto pipeline = rig.pipeline(rig.options());
  ParameterFile file{pipeline->parameters(false), {}};
  for (NamedTensor& tensor : file.tensors)
    if (tensor.name == "fc.weight") tensor.values[5] = std::numeric_limits<float>::max();
  pipeline->set_parameters(file, "test");
  PassRequest request = rig.request(40);
  request.facts.learning_rate = [](std::int64_t) { return 1e30; };
  const std::string message = failure_of(*pipeline, request);
  CHECK(message.find("not a finite number") != std::string::npos);
  CHECK((message.find("'fc'") != std::string::npos || message.find("parameter") != std::string::npos));
}

TEST_CASE("images that cannot be read end the run with the reader's own error") {
  const Rig rig(graph);
  class Broken final : public Dataset {
   public:
    explicit Broken(const Dataset& whole) : whole_(whole) {}
    std::int64_t size() const override { return whole_.size(); }
    std::int32_t label(std::int64_t index) const override { return whole_.label(index); }
    Shape shape(std::int64_t index) const override { return whole_.shape(index); }
    void read(std::int64_t index, std::span<std::uint8_t> pixels) const override {
      if (index == 11) throw InputError("image 11 is broken");
      whole_.read(index, pixels);
    }

   private:
    const Dataset& whole_;
  };
  const MadeUpImages whole({1, 12, 12}, 40, 4, 7);
  const Broken broken(whole);
  const ImageSource source(broken, rig.file().data.preprocess, rig.file().data.augment, 1);
  const auto pipeline = rig.pipeline(rig.options());
  PassRequest request = rig.request(40);
  request.source = &source;
  CHECK_THROWS_WITH_AS(pipeline->run(request), doctest::Contains("image 11 is broken"), InputError);
}

TEST_CASE("a request to stop ends after the batches in flight") {
  const Rig rig(graph);
  std::atomic<int> stop{0};
  PipelineOptions options = rig.options();
  options.on_step = [&](const StepFacts& step) {
    if (step.batch == 1) stop = 1;
  };
  const auto pipeline = rig.pipeline(options);
  PassRequest request = rig.request(40);
  request.stop = &stop;
  const PassResult result = pipeline->run(request);
  CHECK(result.batches >= 2);
  CHECK(result.images == result.batches * 8);
  stop = 0;
  CHECK(pipeline->run(rig.request(16)).images == 16);  // still of use
}

// Runs small pipelines for real with one thing wrong in each - a slow layer, a slow device, a slow link, a slow reader,
// a slow optimizer, two devices on one core - and prints how often the diagnosis names it, as a confusion table.
//
//   diagnosis [ROUNDS]
//
// ROUNDS: 10, of seven kinds each. What is injected lasts from one to three times as long as a stage's action takes.
#include <fmt/format.h>

#include <cstdlib>
#include <ctime>
#include <map>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "engine/pipeline/injected_delays.h"
#include "engine/training/session.h"
#include "layers/registry.h"
#include "tests/engine/pipeline/rig.h"

namespace {

using namespace lenet_flow;

constexpr int micro_batch = 16, micro_batches = 8, batches = 12;
constexpr std::int64_t images = batches * micro_batches * micro_batch;
/// What F, I and W of a stage take for a micro-batch.
constexpr int action_us = 1000;

/// A pipeline of two stages of equal cost with something wrong, and how the diagnosis ought to call it.
struct Case {
  std::string name;
  RootKind kind = RootKind::stage;
  int index = -1;  ///< of the stage or link; -1: any
  std::string inject;
  bool one_core = false;
  Nanoseconds read = 0, update = 0;  ///< of a micro-batch; of a stage
};

void busy_for(Nanoseconds time) {
  for (const Nanoseconds until = steady_now() + time; steady_now() < until;) {
  }
}

/// Images that take a time to read.
class SlowImages final : public Dataset {
 public:
  explicit SlowImages(Nanoseconds an_image) : images_({1, 8, 8}, images, 4, 1), an_image_(an_image) {}
  std::int64_t size() const override { return images; }
  std::int32_t label(std::int64_t index) const override { return images_.label(index); }
  Shape shape(std::int64_t index) const override { return images_.shape(index); }
  void read(std::int64_t index, std::span<std::uint8_t> pixels) const override {
    images_.read(index, pixels);
    const timespec rest{0, static_cast<long>(an_image_)};
    if (an_image_ > 0) nanosleep(&rest, nullptr);  // a slow disk: takes no core
  }

 private:
  test::MadeUpImages images_;
  Nanoseconds an_image_;
};

/// An optimizer that takes a time for every parameter.
class SlowOptimizer final : public Optimizer {
 public:
  SlowOptimizer(const Optimizer& inner, Nanoseconds a_parameter) : inner_(inner), a_parameter_(a_parameter) {}
  std::vector<std::string> state_names() const override { return inner_.state_names(); }
  double learning_rate() const override { return inner_.learning_rate(); }
  double flops() const override { return inner_.flops(); }
  void update_all(DeviceKind kind, std::span<const UpdateCall> calls) const override {
    inner_.update_all(kind, calls);
    busy_for(a_parameter_ * static_cast<Nanoseconds>(calls.size()));
  }

 private:
  const Optimizer& inner_;
  Nanoseconds a_parameter_;
};

std::string graph_of(const Case& which) {
  const auto busy = [](int number, const char* device) {
    const double us = static_cast<double>(action_us) / micro_batch;
    return fmt::format(R"({{"name": "busy{0}", "type": "busy", "forward_us": {2}, "input_gradients_us": {2},
                          "parameter_gradients_us": {2}, "device": "{1}"}})",
                       number, device, us);
  };
  const std::string cores = which.one_core ? "[0]" : "1";
  return test::graph_text(
      fmt::format(R"("cpu0": {{"kind": "cpu", "cores": {0}}}, "cpu1": {{"kind": "cpu", "cores": {0}}})", cores),
      fmt::format(R"({{"name": "flat", "type": "flatten", "device": "cpu0"}},
                     {{"name": "fc1", "type": "dense", "out_features": 8, "device": "cpu0"}}, {}, {},
                     {{"name": "fc2", "type": "dense", "out_features": 4, "device": "cpu1"}})",
                  busy(1, "cpu0"), busy(2, "cpu1")),
      fmt::format(R"("schedule": "1f1b", "micro_batch": {}{})", micro_batch,
                  which.inject.empty() ? "" : fmt::format(R"(, "inject": ["{}"])", which.inject)),
      micro_batch * micro_batches, R"({"type": "sgd", "learning_rate": 0.01})");
}

Diagnosis run(const Case& which) {
  const test::Rig rig(graph_of(which), images, {1, 8, 8}, 4);
  const SlowOptimizer optimizer(rig.optimizer(), which.update / 2);
  const SlowImages data(which.read / micro_batch);
  const ImageSource source(data, {}, {}, 1);
  PipelineOptions options = rig.options();
  options.delays = resolve_delays(rig.network(), rig.file().pipeline.inject);
  Pipeline pipeline(rig.network(), rig.devices(), options, &optimizer);
  pipeline.set_parameters(initial_parameters(rig.network(), 1), "");
  PassRequest request = rig.request(images);
  request.source = &source;
  request.timed = true;
  pipeline.run(request);
  return pipeline.diagnosis();
}

std::vector<Case> cases(std::mt19937& random) {
  const auto times = [&](double low, double high) { return std::uniform_real_distribution<double>(low, high)(random); };
  const auto us = [&](double low, double high) { return static_cast<std::int64_t>(action_us * times(low, high)); };
  const int slow = static_cast<int>(random() % 2);
  return {
      {"slow layer", RootKind::stage, slow, fmt::format("busy{}=+{}us", slow + 1, us(1, 3))},
      {"slow device", RootKind::stage, 1 - slow, fmt::format("cpu{}=x{:.2f}", 1 - slow, times(2, 4))},
      {"slow link", RootKind::link, 0, fmt::format("link:busy1->busy2=+{}us", us(3, 6))},
      {"slow reader", RootKind::reader, -1, "", false, us(12, 20) * 1000},
      {"slow optimizer", RootKind::optimizer, -1, "", false, 0, us(20, 40) * 1000},
      {"one core for two devices", RootKind::device, -1, "", true},
      {"nothing", RootKind::schedule, -1, ""},
  };
}

}  // namespace

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 10;
  std::mt19937 random(1);
  std::map<std::string, std::map<std::string, int>> table;
  int right = 0, all = 0;
  for (int round = 0; round < rounds; ++round)
    for (const Case& which : cases(random)) {
      const Diagnosis diagnosis = run(which);
      const Root root = diagnosis.causes.empty() ? Root{} : diagnosis.causes[0];
      const bool hit = root.kind == which.kind && (which.index < 0 || root.index == which.index);
      right += hit;
      ++all;
      ++table[which.name][word(root.kind)];
      if (!hit) fmt::print("{} {}: {} ({:.0f}%)\n", which.name, which.inject, root.name, 100 * root.share);
    }
  constexpr RootKind kinds[] = {RootKind::stage,     RootKind::link,    RootKind::capacity,
                                RootKind::credits,   RootKind::reader,  RootKind::device,
                                RootKind::optimizer, RootKind::wake_up, RootKind::schedule};
  fmt::print("\n{:<26}", "injected \\ named");
  for (const RootKind kind : kinds) fmt::print("{:>10}", word(kind));
  for (const auto& [name, named] : table) {
    fmt::print("\n{:<26}", name);
    for (const RootKind kind : kinds) {
      const auto found = named.find(word(kind));
      fmt::print("{:>10}", found == named.end() ? std::string("-") : std::to_string(found->second));
    }
  }
  fmt::print("\n\n{} of {} runs named right: {:.1f}%\n", right, all, 100.0 * right / all);
  return 0;
}

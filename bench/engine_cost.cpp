// What the engine adds to a message from one node to the next: a pipeline of layers that do nothing on one device,
// beside the same chain of nodes in plain oneTBB. Both sides take turns in every iteration, so that whatever else the
// machine does disturbs both, and the medians are compared. Times are CPU times of the one thread that does the work:
// of the engine's device, from when all images are read.
//
// An action goes through these nodes of the engine: order, gate, a node a layer, end, and the loss in the last stage's
// F. The plain chain has as many function nodes, on as many threads (one), with messages of the same size.
#include <benchmark/benchmark.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <tbb/flow_graph.h>
#include <tbb/task_arena.h>

#include <time.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tests/engine/pipeline/rig.h"

namespace {

using namespace lenet_flow;
namespace flow = tbb::flow;

constexpr std::int64_t micro_batches = 2000;

/// `stages` stages of `layers` layers each that pass on one number an image, all on one core; a micro-batch is one
/// image.
std::string chain_text(int layers, int stages) {
  std::vector<std::string> texts{R"({"name": "l0", "type": "flatten"})"}, cuts;
  for (int i = 1; i < layers * stages; ++i) texts.push_back(fmt::format(R"({{"name": "l{}", "type": "busy"}})", i));
  for (int stage = 0; stage < stages; ++stage) {
    std::vector<std::string> names;
    for (int i = 0; i < layers; ++i) names.push_back(fmt::format("\"l{}\"", stage * layers + i));
    cuts.push_back(fmt::format(R"({{"layers": [{}]}})", fmt::join(names, ", ")));
  }
  return test::graph_text(
      R"("cpu0": {"kind": "cpu"})", fmt::format("{}", fmt::join(texts, ", ")),
      fmt::format(R"("schedule": "sequential", "micro_batch": 1, "stages": [{}])", fmt::join(cuts, ", ")),
      micro_batches);
}

/// A message as large as the engine's.
struct Message {
  std::int64_t micro_batch = 0;
  Arrivals arrivals;
};

/// Function nodes in a row in an arena of one thread. The last sends the next message to the first, as a device runs
/// one action after another.
class PlainChain {
 public:
  explicit PlainChain(int nodes) : arena_(1) {
    arena_.execute([&] {
      graph_ = std::make_unique<flow::graph>();
      for (int i = 0; i < nodes; ++i) {
        nodes_.push_back(
            std::make_unique<Node>(*graph_, flow::serial, [this, last = i + 1 == nodes](const Message& message) {
              if (last && message.micro_batch + 1 < messages_) nodes_.front()->try_put({message.micro_batch + 1, {}});
              return message;
            }));
        if (i > 0) flow::make_edge(*nodes_[nodes_.size() - 2], *nodes_.back());
      }
    });
  }

  void run(std::int64_t messages) {
    messages_ = messages;
    arena_.execute([&] {
      nodes_.front()->try_put({0, {}});
      graph_->wait_for_all();
    });
  }

 private:
  using Node = flow::function_node<Message, Message>;
  tbb::task_arena arena_;
  std::unique_ptr<flow::graph> graph_;
  std::vector<std::unique_ptr<Node>> nodes_;
  std::int64_t messages_ = 0;
};

/// Seconds of CPU time of the calling thread: what others do on the machine is not in it.
double thread_seconds() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

/// Images without content that count how many were read.
class CountedImages final : public Dataset {
 public:
  std::int64_t size() const override { return micro_batches; }
  std::int32_t label(std::int64_t) const override { return 0; }
  Shape shape(std::int64_t) const override { return {4, 1, 1}; }
  void read(std::int64_t, std::span<std::uint8_t> pixels) const override {
    std::fill(pixels.begin(), pixels.end(), std::uint8_t{1});
    read_.fetch_add(1);
  }
  void wait_until_all_are_read() const {
    while (read_.load() < micro_batches) std::this_thread::yield();
    std::this_thread::sleep_for(std::chrono::milliseconds(1));  // and handed over
    read_ = 0;
  }

 private:
  mutable std::atomic<std::int64_t> read_{0};
};

/// The engine on a chain of `layers` layers, one batch of all micro-batches a pass.
class Engine {
 public:
  Engine(int layers, int stages, Mode mode)
      : rig_(chain_text(layers, stages), 1, {4, 1, 1}, 4),
        source_(images_, {}, {}, 1),
        actions_a_micro_batch_((mode == Mode::train ? 2 : 1) * stages) {
    PipelineOptions options = rig_.options();
    options.training = mode == Mode::train;
    options.on_step = [this](const StepFacts& step) { watch(step); };
    pipeline_ = rig_.pipeline(options);
    for (std::uint32_t i = 0; i < micro_batches; ++i) samples_.push_back(i);
    request_ = rig_.request(1, mode);
    request_.facts.cut = {micro_batches, micro_batches, 1};
    request_.source = &source_;
    request_.samples = samples_;
    request_.timed = true;
  }

  /// CPU seconds of the device's thread from the begin of the second action to the begin of the last but an update: the
  /// first action waits until the reader has nothing left to do.
  double run() {
    actions_ = 0;
    pipeline_->run(request_);
    return end_ - begin_;
  }
  std::int64_t actions_timed() const { return micro_batches * actions_a_micro_batch_ - 2; }

 private:
  void watch(const StepFacts& step) {
    const bool same_action = actions_ > 0 && step.stage == last_.stage && step.kind == last_.kind &&
                             step.micro_batch == last_.micro_batch;
    if (same_action || step.kind == ActionKind::update) return;
    last_ = step;
    if (actions_ == 0) images_.wait_until_all_are_read();
    if (actions_ == 1) begin_ = thread_seconds();
    if (actions_ == actions_timed() + 1) end_ = thread_seconds();
    ++actions_;
  }

  test::Rig rig_;
  CountedImages images_;
  ImageSource source_;
  std::unique_ptr<Pipeline> pipeline_;
  std::vector<std::uint32_t> samples_;
  PassRequest request_;
  std::int64_t actions_a_micro_batch_, actions_ = 0;
  StepFacts last_;
  double begin_ = 0, end_ = 0;
};

/// Nanoseconds a node-message of the engine, of the plain chain, and the difference, as counters.
void compare(benchmark::State& state, Mode mode) {
  const int layers = static_cast<int>(state.range(0)), stages = static_cast<int>(state.range(1));
  Engine engine(layers, stages, mode);
  // Of an action: order, gate, layers, end. The last stage's F has the loss too.
  const int of_action = layers + 3;
  const double nodes = of_action + 1.0 / (stages * (mode == Mode::train ? 2 : 1));
  PlainChain chain(of_action);
  std::vector<double> of_engine, of_plain, beyond;
  for ([[maybe_unused]] auto _ : state) {
    const double engine_seconds = engine.run();
    const double begin = thread_seconds();
    chain.run(engine.actions_timed());
    const double plain_seconds = thread_seconds() - begin;
    const auto actions = static_cast<double>(engine.actions_timed());
    of_engine.push_back(1e9 * engine_seconds / (actions * nodes));
    of_plain.push_back(1e9 * plain_seconds / (actions * of_action));
    beyond.push_back(of_engine.back() - of_plain.back());
    state.SetIterationTime(engine_seconds);
  }
  state.counters["engine_ns"] = median(of_engine);
  state.counters["plain_tbb_ns"] = median(of_plain);
  state.counters["beyond_ns"] = median(beyond);
}

/// (layers a stage, stages on the device)
void shapes(benchmark::internal::Benchmark* benchmark) {
  benchmark->Args({2, 1})->Args({5, 1})->Args({12, 1})->Args({5, 4})->UseManualTime()->Iterations(25);
}

BENCHMARK_CAPTURE(compare, inference, Mode::infer)->Apply(shapes);
BENCHMARK_CAPTURE(compare, training, Mode::train)->Apply(shapes);

}  // namespace

BENCHMARK_MAIN();

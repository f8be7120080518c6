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
  explicit CountedImages(std::int64_t images) : images_(images) {}
  std::int64_t size() const override { return images_; }
  std::int32_t label(std::int64_t) const override { return 0; }
  Shape shape(std::int64_t) const override { return {4, 1, 1}; }
  void read(std::int64_t, std::span<std::uint8_t> pixels) const override {
    std::fill(pixels.begin(), pixels.end(), std::uint8_t{1});
    read_.fetch_add(1);
  }
  void wait_until_all_are_read() const {
    while (read_.load() < images_) std::this_thread::yield();
    std::this_thread::sleep_for(std::chrono::milliseconds(1));  // and handed over
    read_ = 0;
  }

 private:
  std::int64_t images_;
  mutable std::atomic<std::int64_t> read_{0};
};

/// The engine on a chain of layers, in passes of two batches. What the second takes is measured, from where it looks up
/// the learning rate of the first batch's last update (there the device waits until the reader has nothing left to do)
/// to where it looks up that of the second's.
class Engine {
 public:
  Engine(int layers, int stages)
      : rig_(chain_text(layers, stages), 1, {4, 1, 1}, 4),
        images_(2 * micro_batches),
        source_(images_, {}, {}, 1),
        pipeline_(rig_.pipeline(rig_.options())),
        stages_(stages) {
    for (std::uint32_t i = 0; i < 2 * micro_batches; ++i) samples_.push_back(i);
    request_ = rig_.request(1);
    request_.facts.cut = {2 * micro_batches, micro_batches, 1};
    request_.facts.learning_rate = [this](std::int64_t) { return watch(), 0.1; };
    request_.source = &source_;
    request_.samples = samples_;
    request_.timed = true;
  }

  /// CPU seconds of the device's thread for one batch.
  double run() {
    updates_ = 0;
    pipeline_->run(request_);
    return end_ - begin_;
  }

 private:
  /// Each stage has an update a batch.
  void watch() {
    ++updates_;
    if (updates_ == stages_) images_.wait_until_all_are_read();
    if (updates_ == stages_) begin_ = thread_seconds();
    if (updates_ == 2 * stages_) end_ = thread_seconds();
  }

  test::Rig rig_;
  CountedImages images_;
  ImageSource source_;
  std::unique_ptr<Pipeline> pipeline_;
  std::vector<std::uint32_t> samples_;
  PassRequest request_;
  int stages_, updates_ = 0;
  double begin_ = 0, end_ = 0;
};

/// Nanoseconds a node-message of the engine, of the plain chain, and the difference, as counters.
void compare(benchmark::State& state) {
  const int layers = static_cast<int>(state.range(0)), stages = static_cast<int>(state.range(1));
  Engine engine(layers, stages);
  // Of F and of B: order, gate, layers, end, and the loss in the last stage's F. Of U: order, gate, update, end.
  const int of_action = layers + 3;
  const std::int64_t actions = micro_batches * stages * 2;
  const std::int64_t messages = actions * of_action + micro_batches + std::int64_t{4} * stages;
  PlainChain chain(of_action);
  std::vector<double> of_engine, of_plain, beyond;
  for ([[maybe_unused]] auto _ : state) {
    const double engine_seconds = engine.run();
    const double begin = thread_seconds();
    chain.run(actions);
    const double plain_seconds = thread_seconds() - begin;
    of_engine.push_back(1e9 * engine_seconds / static_cast<double>(messages));
    of_plain.push_back(1e9 * plain_seconds / static_cast<double>(actions * of_action));
    beyond.push_back(of_engine.back() - of_plain.back());
    state.SetIterationTime(engine_seconds);
  }
  state.counters["engine_ns"] = median(of_engine);
  state.counters["plain_tbb_ns"] = median(of_plain);
  state.counters["beyond_ns"] = median(beyond);
}

// (layers a stage, stages on the device)
BENCHMARK(compare)->Args({2, 1})->Args({5, 1})->Args({12, 1})->Args({5, 4})->UseManualTime()->Iterations(25);

}  // namespace

BENCHMARK_MAIN();

// What tracing costs: trains the same batches of graph files with and without it, in turn, and prints the ratio of the
// times with its 95 % interval.
//
//   tracing_cost GRAPH.json... [-- ROUNDS]
//
// ROUNDS: 15 pairs. Devices that are GPUs are put on CPU cores. The data sets as lenet-flow finds them.
#include <fmt/format.h>

#include <boost/math/distributions/students_t.hpp>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "engine/training/session.h"
#include "engine/training/training_state.h"

namespace {

using namespace lenet_flow;

constexpr double seconds_a_pass = 0.5;

struct Ratio {
  double mean = 1, half = 0;  ///< of the logarithms' interval, as a factor less 1
};

Ratio ratio_of(const std::vector<double>& logarithms) {
  const auto n = static_cast<double>(logarithms.size());
  double mean = 0, square = 0;
  for (const double value : logarithms) mean += value / n;
  for (const double value : logarithms) square += (value - mean) * (value - mean);
  const double t = boost::math::quantile(boost::math::students_t(n - 1), 0.975);
  return {std::exp(mean), std::exp(t * std::sqrt(square / (n - 1) / n)) - 1};
}

/// Passes of some batches, traced or not.
class Passes {
 public:
  explicit Passes(const RunOptions& options)
      : session_(options, Session::Data::all), pipeline_(session_.open_pipeline(session_.pipeline_options())) {
    run(5, false);  // memory and caches are cold
    const double seconds = run(5, false);
    batches_ = std::max<std::uint64_t>(5, static_cast<std::uint64_t>(5 * seconds_a_pass / seconds));
  }
  double run(bool traced) { return run(batches_, traced); }
  const Pipeline& pipeline() const { return *pipeline_; }

 private:
  double run(std::uint64_t batches, bool traced) {
    double seconds = 0;
    for (std::uint64_t done = 0; done < batches;) {
      const PassResult pass = train_epoch(session_, *pipeline_, state_, batches - done, {}, traced);
      seconds += pass.seconds;
      done += static_cast<std::uint64_t>(pass.batches);
    }
    return seconds;
  }

  Session session_;
  std::unique_ptr<Pipeline> pipeline_;
  TrainingState state_;
  std::uint64_t batches_ = 5;
};

void measure(const std::string& graph, int rounds) {
  RunOptions options;
  options.graph = graph;
  options.changes.sets = {"training.epochs=100000"};  // the learning rate's way down is no matter here
  Passes passes(options);
  std::vector<double> logarithms;
  for (int round = 0; round < rounds; ++round) {
    const bool traced_first = round % 2 == 0;
    const double first = passes.run(traced_first), second = passes.run(!traced_first);
    logarithms.push_back(traced_first ? std::log(first / second) : std::log(second / first));
  }
  const Ratio ratio = ratio_of(logarithms);
  double compute = 0, unaccounted = 0, all = 0;
  for (const TimeAccount& unit : passes.pipeline().account().units()) {
    compute += unit.seconds.compute;
    unaccounted += unit.seconds.unaccounted;
    all += unit.seconds.sum();
  }
  fmt::print("{:<34} {:.4f} [{:.4f}, {:.4f}]  {:>10.2f}% {:>12.4f}%\n", graph.substr(graph.rfind('/') + 1), ratio.mean,
             ratio.mean / (1 + ratio.half), ratio.mean * (1 + ratio.half), 100 * compute / all,
             100 * unaccounted / all);
}

}  // namespace

int main(int argc, char** argv) {
  int rounds = 15;
  std::vector<std::string> graphs;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--") == 0 && i + 1 < argc)
      rounds = std::max(2, std::atoi(argv[++i]));
    else
      graphs.emplace_back(argv[i]);
  }
  fmt::print("{:<34} {:<25} {:>11} {:>13}\n", "graph", "traced / not [95%]", "compute", "unaccounted");
  for (const std::string& graph : graphs) {
    try {
      measure(graph, rounds);
    } catch (const std::exception& error) {
      fmt::print("{}: {}\n", graph, error.what());
    }
  }
  return 0;
}

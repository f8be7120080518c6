// Measures the bubble of two stages of equal cost on two cores (graphs/busy.json) under gpipe and 1f1b, and prints it
// beside (p - 1) / (m + p - 1); then what the simulator says of four and eight stages. All cases are run in turn, round
// by round, and their medians are printed: a machine that others use too disturbs all of them alike.
//
//   bubble [ROUNDS [MICROSECONDS]]
//
// ROUNDS: 5. MICROSECONDS that F, I and W take for an image, 16 of which are a micro-batch: 100, so that the wake-up of
// a thread (tens of microseconds) is little beside an action. The data set as lenet-flow finds it.
#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "engine/pipeline/run_error.h"
#include "engine/schedule/simulate.h"
#include "engine/training/trainer.h"

namespace {

using namespace lenet_flow;

constexpr std::int64_t micro_batch = 16, micro_batches_a_run = 96;

struct Case {
  std::string schedule;
  int micro_batches = 1;  ///< a batch
  double theory = 0;
  std::vector<double> measured = {};  ///< one a round
};

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

/// Seconds that the machine's cores have worked, for anybody; and for this process.
double machine_seconds() {
  std::ifstream stat("/proc/stat");
  std::string cpu;
  double user = 0, nice = 0, system = 0, idle = 0, io_wait = 0, interrupt = 0, soft_interrupt = 0, stolen = 0;
  stat >> cpu >> user >> nice >> system >> idle >> io_wait >> interrupt >> soft_interrupt >> stolen;
  return (user + nice + system + interrupt + soft_interrupt + stolen) / static_cast<double>(sysconf(_SC_CLK_TCK));
}
double own_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

void run_once(double microseconds, Case& which) {
  RunOptions options;
  options.graph = LENET_FLOW_GRAPHS "/busy.json";
  options.limit = micro_batches_a_run * micro_batch;
  options.changes.sets = {"training.epochs=1", "pipeline.schedule=" + which.schedule,
                          fmt::format("training.batch={}", which.micro_batches * micro_batch),
                          fmt::format("pipeline.micro_batch={}", micro_batch)};
  for (const char* layer : {"busy1", "busy2"})
    for (const char* action : {"forward", "input_gradients", "parameter_gradients"})
      options.changes.sets.push_back(fmt::format("layers.{}.{}_us={}", layer, action, microseconds));
  const RunResult result = run_graph(options);
  which.theory = result.pipeline.bubble_theory.value();
  which.measured.push_back(result.pipeline.bubble_measured);
}

void measure(int rounds, double microseconds) {
  std::vector<Case> cases;
  for (const char* schedule : {"gpipe", "1f1b"})
    for (const int micro_batches : {2, 4, 8, 16}) cases.push_back({schedule, micro_batches});
  const double machine_before = machine_seconds(), own_before = own_seconds();
  for (int round = 0; round < rounds; ++round)
    for (Case& each : cases) run_once(microseconds, each);
  std::array<double, 3> load{};
  getloadavg(load.data(), 3);
  fmt::print("measured: 2 stages on 2 cores, F, I and W {} us an image, {} rounds, medians\n", microseconds, rounds);
  fmt::print("{:<16} {:>13} {:>9} {:>9} {:>11} {:>17}\n", "schedule", "micro-batches", "measured", "theory",
             "difference", "lowest..highest");
  for (const Case& each : cases) {
    const auto [low, high] = std::minmax_element(each.measured.begin(), each.measured.end());
    fmt::print("{:<16} {:>13} {:>8.2f}% {:>8.2f}% {:>+7.2f} pts {:>7.2f}..{:.2f}%\n", each.schedule, each.micro_batches,
               100 * median(each.measured), 100 * each.theory, 100 * (median(each.measured) - each.theory), 100 * *low,
               100 * *high);
  }
  fmt::print(
      "load: {:.2f} (mean of the last minute, {} cores); others had {:.1f} s of the cores, this program {:.1f} s\n",
      load[0], sysconf(_SC_NPROCESSORS_ONLN), machine_seconds() - machine_before - (own_seconds() - own_before),
      own_seconds() - own_before);
}

/// A chain of stages on a device each.
ScheduleShape chain(int stages, int micro_batches) {
  ScheduleShape shape;
  shape.devices = stages;
  shape.micro_batches = micro_batches;
  for (int stage = 0; stage < stages; ++stage) {
    shape.devices_of_stage.push_back({stage});
    if (stage > 0) shape.links.emplace_back(stage - 1, stage);
  }
  return shape;
}

void simulate_more() {
  fmt::print("\nsimulated: F, I and W equally long, transfers take nothing; one batch, and 20 in a row\n");
  fmt::print("{:<16} {:>7} {:>14} {:>10} {:>9} {:>11}\n", "schedule", "stages", "micro-batches", "one batch", "theory",
             "20 batches");
  for (const char* name : {"gpipe", "1f1b", "zero_bubble_h1", "zero_bubble_h2"})
    for (const int stages : {4, 8})
      for (const int micro_batches : {8, 16, 32}) {
        const ScheduleShape shape = chain(stages, micro_batches);
        const ScheduleType& type = *find_schedule_type(name);
        const ActionCosts costs = ActionCosts::equal(shape);
        const Schedule schedule = type.generate({shape, costs, {}});
        const auto bubble = [&](int batches) {
          return 100 * simulate(schedule, shape, costs, natural_limits(schedule, shape), batches).bubble;
        };
        const auto theory = type.bubble(shape);
        fmt::print("{:<16} {:>7} {:>14} {:>9.2f}% {:>9} {:>10.2f}%\n", name, stages, micro_batches, bubble(1),
                   theory ? fmt::format("{:.2f}%", 100 * *theory) : "-", bubble(20));
      }
}

}  // namespace

int main(int count, char** arguments) {
  const int rounds = count > 1 ? std::atoi(arguments[1]) : 5;
  const double microseconds = count > 2 ? std::atof(arguments[2]) : 100;
  if (count > 3 || rounds < 1 || !(microseconds > 0)) {
    fmt::print(stderr, "usage: bubble [ROUNDS [MICROSECONDS]], both positive\n");
    return 2;
  }
  try {
    measure(rounds, microseconds);
  } catch (const std::exception& error) {
    fmt::print(stderr, "bubble: {}\n", error.what());
    return 1;
  }
  simulate_more();
}

// Draws the pictures of engine/schedule/README.md: schedule_pictures FOLDER. With --check it compares them with those
// in the folder instead, and says which are out of date.

#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>

#include "engine/schedule/draw_schedule.h"
#include "tests/engine/schedule/schedule_cases.h"

using namespace lenet_flow;
using namespace lenet_flow::schedule_cases;

namespace {

/// Four devices, eight micro-batches, equal times; for `auto` a slow third stage and transfers.
std::string picture(const ScheduleType& type) {
  ScheduleShape shape = chain(4, 8);
  if (type.name == "interleaved_1f1b") shape = looped_chain(4, 2, 8);
  if (type.name == "zb_v" || type.name == "dualpipe_v") shape = v_chain(4, 8);
  shape.training = type.name != "inference";
  ScheduleRequest request{shape, ActionCosts::equal(shape), {}};
  std::string caption = type.name;
  if (type.name == "auto") {
    request.costs.stages[2] = {1.5, 2, 1, 0};
    request.costs.transfers.assign(shape.links.size(), 0.5);
    caption = "auto, third stage slower, transfers of half a unit";
  }
  std::vector<std::string> names;
  for (int stage = 0; stage < shape.stages(); ++stage)
    names.push_back(fmt::format("stage {} on {}", stage, shape.devices_of_stage[static_cast<std::size_t>(stage)][0]));
  const Simulation simulation =
      simulate(type.generate(request), shape, request.costs, unbounded(), type.name == "zero_bubble_h2" ? 2 : 1);
  return draw_schedule_svg(simulation, shape, names, caption);
}

}  // namespace

int main(int argc, char** argv) {
  const bool check = argc == 3 && std::string(argv[1]) == "--check";
  if (argc != 2 && !check) {
    std::cerr << "usage: schedule_pictures [--check] FOLDER\n";
    return 2;
  }
  const std::filesystem::path folder = argv[argc - 1];
  std::vector<const ScheduleType*> types;
  for (const ScheduleType& type : schedule_types()) types.push_back(&type);
  types.push_back(find_schedule_type("inference"));
  int out_of_date = 0;
  for (const ScheduleType* type : types) {
    const auto path = folder / (type->name + ".svg");
    if (check) {
      std::ifstream file(path);
      const std::string there((std::istreambuf_iterator<char>(file)), {});
      if (there == picture(*type)) continue;
      std::cerr << path.string() << " is not what is drawn now; run schedule_pictures " << folder.string() << "\n";
      ++out_of_date;
    } else {
      std::ofstream(path) << picture(*type);
    }
  }
  return out_of_date == 0 ? 0 : 1;
}

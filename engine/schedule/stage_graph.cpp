#include "engine/schedule/stage_graph.h"

#include <algorithm>

namespace lenet_flow {

StageGraph::StageGraph(const ScheduleShape& shape)
    : before(static_cast<std::size_t>(shape.stages())), after(static_cast<std::size_t>(shape.stages())) {
  for (std::size_t link = 0; link < shape.links.size(); ++link) {
    const auto& [from, to] = shape.links[link];
    after[static_cast<std::size_t>(from)].push_back({to, static_cast<int>(link)});
    before[static_cast<std::size_t>(to)].push_back({from, static_cast<int>(link)});
  }
}

std::vector<double> StageGraph::longest_to_end(const std::vector<double>& weights) const {
  std::vector<double> longest(weights);
  for (std::size_t stage = after.size(); stage-- > 0;)
    for (const Neighbour& next : after[stage])
      longest[stage] = std::max(longest[stage], weights[stage] + longest[static_cast<std::size_t>(next.stage)]);
  return longest;
}

int StageGraph::longest_jump() const {
  int longest = 0;
  for (std::size_t start = 0; start < after.size(); ++start) {
    std::vector<int> steps(after.size(), -1);
    steps[start] = 0;
    for (std::size_t stage = start; stage < after.size(); ++stage)
      if (steps[stage] >= 0)
        for (const Neighbour& next : after[stage]) {
          int& there = steps[static_cast<std::size_t>(next.stage)];
          there = std::max(there, steps[stage] + 1);
        }
    for (const Neighbour& next : after[start]) longest = std::max(longest, steps[static_cast<std::size_t>(next.stage)]);
  }
  return longest;
}

}  // namespace lenet_flow

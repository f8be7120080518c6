#include "tools/timeline.h"

#include <doctest/doctest.h>

using namespace lenet_flow;

namespace {

std::string draw(const ScheduleShape& shape, int columns, const char* schedule = "gpipe") {
  Terminal terminal;
  terminal.columns = columns;
  std::vector<std::string> names;
  for (int i = 0; i < shape.devices; ++i) names.push_back("cpu" + std::to_string(i));
  return timeline_text(find_schedule_type(schedule)->generate(shape), shape, names, terminal);
}

}  // namespace

TEST_CASE("two stages, two micro-batches by gpipe") {
  CHECK(draw({{0, 1}, 2, {{0, 1}}, 2, true}, 100) ==
        "cpu0  F0 F1 .  .  .  B0--- B1---\n"
        "cpu1  .  F0 F1 B0--- B1--- .  .\n");
}

TEST_CASE("a device with several stages names them; inference has no backward") {
  CHECK(draw({{0, 0}, 1, {{0, 1}}, 2, false}, 100) == "cpu0  0F0 0F1 1F0 1F1\n");
}

TEST_CASE("what is wider than the terminal is cut, on every device at the same time") {
  for (int columns = 20; columns < 90; ++columns) {
    const std::string text = draw({{0, 1, 2}, 3, {{0, 1}, {1, 2}}, 12, true}, columns);
    std::size_t begin = 0;
    for (int line = 0; line < 3; ++line) {
      const std::size_t end = text.find('\n', begin);
      const std::string row = text.substr(begin, end - begin);
      CHECK(row.size() <= static_cast<std::size_t>(columns));
      CHECK(row.ends_with("..."));
      begin = end + 1;
    }
    CHECK(begin == text.size());
  }
}

// Drawings contain what they must, and nothing that breaks a terminal or a page.

#include <doctest/doctest.h>

#include <algorithm>

#include "engine/schedule/draw_schedule.h"
#include "tests/engine/schedule/schedule_cases.h"

using namespace lenet_flow;
using namespace lenet_flow::schedule_cases;

namespace {

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines(1);
  for (const char c : text)
    if (c == '\n')
      lines.emplace_back();
    else
      lines.back() += c;
  lines.pop_back();
  return lines;
}

std::size_t count(const std::string& text, const std::string& what) {
  std::size_t found = 0;
  for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++found;
  return found;
}

/// Without what ANSI colours add.
std::string uncoloured(const std::string& text) {
  std::string bare;
  bool in_code = false;
  for (const char c : text) {
    if (c == '\x1b') in_code = true;
    if (!in_code) bare += c;
    if (c == 'm') in_code = false;
  }
  return bare;
}

/// Tags open and close in turn.
bool well_formed(const std::string& svg) {
  std::vector<std::string> open;
  for (std::size_t at = svg.find('<'); at != std::string::npos; at = svg.find('<', at + 1)) {
    const std::size_t end = svg.find('>', at);
    if (end == std::string::npos) return false;
    const std::string tag = svg.substr(at + 1, end - at - 1);
    if (tag.back() == '/') continue;
    if (tag[0] != '/') {
      open.push_back(tag.substr(0, tag.find(' ')));
    } else {
      if (open.empty() || open.back() != tag.substr(1)) return false;
      open.pop_back();
    }
  }
  return open.empty();
}

}  // namespace

TEST_CASE("A timeline in letters") {
  const ScheduleShape shape = chain(2, 2);
  const Simulation simulation = play_equal(generate("1f1b", shape), shape);
  CHECK(draw_schedule_text(simulation, shape, {"conv", "dense"}, 80, false) ==
        "conv  F0F1....B0--..B1--U\n"
        "dense ..F0B0--F1B1--U....\n"
        "F forward  B backward  U update  . idle\n"
        "length 9, bubble 33.3 %\n"
        "");
}

TEST_CASE("A timeline in colours has the same shape, and ends each row plain") {
  const ScheduleShape shape = chain(4, 8);
  const Simulation simulation = play_equal(generate("zero_bubble_h1", shape), shape);
  const std::string text = draw_schedule_text(simulation, shape, {"a", "b", "c", "d"}, 100, true);
  const std::vector<std::string> lines = lines_of(text);
  REQUIRE(lines.size() == 6);
  for (std::size_t row = 0; row < 4; ++row) CHECK(lines[row].ends_with("\x1b[0m"));
  CHECK(uncoloured(lines[0]) == "a 0 1 2 3 ......0 0 4 1 1 5 2 2 6 3 3 7 4 4 5 5 6 6 7 7 U");
  CHECK(count(lines[0], "\x1b[44;97m") == 8);
  CHECK(uncoloured(text).find(" I  input gradients") != std::string::npos);
}

TEST_CASE("Rows keep to the width: narrower scale first, then a cut that says so") {
  for (const int micro_batches : {2, 8, 40, 300})
    for (const int width : {20, 60, 80, 200})
      for (const bool colours : {false, true}) {
        const ScheduleShape shape = chain(3, micro_batches);
        const Simulation simulation = play_equal(generate("1f1b", shape), shape);
        const auto lines = lines_of(uncoloured(
            draw_schedule_text(simulation, shape, {"first", "a stage with a very long name", "z"}, width, colours)));
        CAPTURE(micro_batches);
        CAPTURE(width);
        REQUIRE(lines.size() == 5);
        for (std::size_t row = 0; row < 3; ++row) {
          CHECK(static_cast<int>(lines[row].size()) <= std::max(width, 30));
          CHECK(lines[row].size() == lines[0].size());
        }
        const bool cut = lines[4].find("cut at") != std::string::npos;
        CHECK(cut == lines[0].ends_with(">"));
        if (micro_batches == 300) CHECK(cut);
        if (micro_batches == 2 && width >= 60) CHECK_FALSE(cut);
      }
}

TEST_CASE("Replicas have rows of their own, and names may be anything") {
  ScheduleShape shape = chain(2, 4);
  shape.devices = 3;
  shape.devices_of_stage = {{0, 2}, {1}};
  const Simulation simulation = play_equal(generate("gpipe", shape), shape);
  const auto lines = lines_of(draw_schedule_text(simulation, shape, {"c\xC3\xB4nv", "<&\">"}, 80, false));
  CHECK(lines[0].starts_with("c\xC3\xB4nv#0 F0F2"));
  CHECK(lines[1].starts_with("c\xC3\xB4nv#1 F1F3"));
  CHECK(lines[2].starts_with("<&\">   "));
  const std::string svg = draw_schedule_svg(simulation, shape, {"c\xC3\xB4nv", "<&\">"}, "a < b & \"c\"");
  CHECK(well_formed(svg));
  CHECK(svg.find(">&lt;&amp;&quot;&gt;</text>") != std::string::npos);
  CHECK(svg.find("a &lt; b &amp; &quot;c&quot;: length") != std::string::npos);
  CHECK(svg.find("c\xC3\xB4nv#1</text>") != std::string::npos);
}

TEST_CASE("An SVG has a rectangle with its title for each action, a legend, and the bubble") {
  const ScheduleShape shape = chain(4, 8);
  const Simulation simulation = play_equal(generate("zero_bubble_h1", shape), shape, 2);
  const std::string svg = draw_schedule_svg(simulation, shape, {"a", "b", "c", "d"}, "zero_bubble_h1");
  CHECK(well_formed(svg));
  CHECK(svg.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\""));
  CHECK(count(svg, "class=\"action F") == 64);
  CHECK(count(svg, "class=\"action I") == 64);
  CHECK(count(svg, "class=\"action W") == 64);
  CHECK(count(svg, "class=\"action U") == 8);
  CHECK(count(svg, " odd\"") == 100);  // the second batch
  CHECK(svg.find("<title>d: 3F0 of batch 0, 3 to 4</title>") != std::string::npos);
  CHECK(svg.find("zero_bubble_h1: length 54, bubble 11.1 %") != std::string::npos);
  for (const std::string words : {"F forward", "I input gradients", "W parameter gradients", "U update", "idle"})
    CHECK(svg.find(">" + words + "</text>") != std::string::npos);
  CHECK(svg.find("prefers-color-scheme: dark") != std::string::npos);
  CHECK(svg.find("@media print") != std::string::npos);
  CHECK(svg.find("href") == std::string::npos);  // self-contained
}

TEST_CASE("Nothing that takes time can be drawn too") {
  const ScheduleShape shape = chain(2, 2);
  ActionCosts costs = ActionCosts::equal(shape);
  for (auto& stage : costs.stages) stage = {0, 0, 0, 0};
  const Simulation simulation = simulate(generate("gpipe", shape), shape, costs, unbounded());
  CHECK(simulation.bubble == 0);
  CHECK(lines_of(draw_schedule_text(simulation, shape, {}, 80, false)).size() == 4);
  CHECK(well_formed(draw_schedule_svg(simulation, shape, {}, "")));
}

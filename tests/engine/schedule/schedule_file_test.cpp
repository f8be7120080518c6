// Schedules as CSV: round trips, PyTorch's own format, and each error with its place.

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>

#include "engine/graph/diagnostics.h"
#include "engine/schedule/schedule_file.h"
#include "tests/engine/schedule/schedule_cases.h"

using namespace lenet_flow;
using namespace lenet_flow::schedule_cases;

namespace {

using Lines = std::vector<std::string>;

/// What is wrong with a file, a line each; empty where nothing is.
Lines errors(const std::string& text, const ScheduleShape& shape) {
  try {
    parse_schedule_csv(text, "s.csv", shape);
  } catch (const InputError& error) {
    Lines lines;
    for (const Diagnostic& diagnostic : error.diagnostics()) lines.push_back(diagnostic.text());
    return lines;
  }
  return {};
}

/// Two stages, a device each, two micro-batches.
const ScheduleShape two = chain(2, 2);
const std::string right = "0F0,0F1,0B0,0B1\n1F0,1B0,1F1,1B1\n";

constexpr const char* expected = "expected an action, its stage, F, I, W or B and its micro-batch, as 0F2, or 0U, got ";

}  // namespace

TEST_CASE("Every generated schedule comes back from its file") {
  constexpr unsigned seed = 31;
  MESSAGE("seed " << seed);
  std::mt19937 random(seed);
  for (int number = 0; number < 300; ++number) {
    ScheduleShape shape = number % 2 == 1 ? random_folded_shape(random) : random_shape(random);
    shape.training = number % 5 != 4;
    for (const ScheduleType& type : schedule_types()) {
      if (type.name == "auto" || !type.misfit(shape).empty()) continue;
      const Schedule schedule = generate(type.name, shape);
      CAPTURE(type.name);
      CAPTURE(describe(shape));
      const std::string text = schedule_csv(schedule, shape);
      REQUIRE(parse_schedule_csv(text, "s.csv", shape) == schedule);
      std::string windows;
      for (const char c : text) windows += c == '\n' ? "\r\n" : std::string(1, c);
      CHECK(parse_schedule_csv(windows, "s.csv", shape) == schedule);
    }
  }
}

TEST_CASE("Updates are left out where they stand in their usual place, and written elsewhere") {
  CHECK(schedule_csv(generate("gpipe", two), two) == "0F0,0F1,0B0,0B1\n1F0,1F1,1B0,1B1\n");
  ScheduleShape shared = two;
  shared.devices = 1;
  shared.devices_of_stage = {{0}, {0}};
  Schedule schedule = generate("sequential", shared);
  CHECK(schedule_csv(schedule, shared) == "0F0,1F0,1B0,0B0,0F1,1F1,1B1,0B1\n");
  std::swap(schedule[0][7], schedule[0][8]);  // 1U behind 0B1
  REQUIRE(schedule_text(schedule[0]) == "0F0,1F0,1B0,0B0,0F1,1F1,1B1,0B1,1U,0U");
  CHECK(schedule_csv(schedule, shared) == "0F0,1F0,1B0,0B0,0F1,1F1,1B1,0B1,1U,0U\n");
  CHECK(parse_schedule_csv(schedule_csv(schedule, shared), "s.csv", shared) == schedule);
}

TEST_CASE("PyTorch's files are read") {
  // Two ranks of ScheduleDualPipeV with four micro-batches as _PipelineScheduleRuntime._dump_csv writes them in its
  // compute_only format: CRLF, idle steps as empty cells, overlapped F and B in brackets, no updates.
  const std::string text =
      "0F0,0F1,0F2,3F0,3I0,3W0,3F1,(0F3;3B1)OVERLAP_F_B,(3F2;0B0)OVERLAP_F_B,3B2,(3F3;0B1)OVERLAP_F_B,3B3,0I2,0W2,"
      "0I3,0W3\r\n"
      ",1F0,2F0,1F1,2F1,1F2,2B0,(2F2;1B0)OVERLAP_F_B,(1F3;2B1)OVERLAP_F_B,(2F3;1B1)OVERLAP_F_B,2B2,1B2,2I3,1I3,2W3,1W3"
      "\r\n";
  const ScheduleShape shape = v_chain(2, 4);
  CHECK(parse_schedule_csv(text, "s.csv", shape) == generate("dualpipe_v", shape));
}

TEST_CASE("Idle cells, spaces, blank lines at the end, a byte order mark and devices without a stage") {
  const Schedule schedule = parse_schedule_csv(right, "s.csv", two);
  CHECK(parse_schedule_csv("\xEF\xBB\xBF,, 0F0 ,0F1,\t0B0,0B1,,\r\n1F0,1B0,,1F1,1B1\r\n\r\n\n", "s.csv", two) ==
        schedule);
  CHECK(parse_schedule_csv("0F0,0F1,0B0,0B1,0U\n1F0,1B0,1F1,1B1", "s.csv", two) == schedule);
  ScheduleShape unused = two;
  unused.devices = 3;
  CHECK(parse_schedule_csv(right, "s.csv", unused).size() == 3);
  CHECK(schedule_csv(parse_schedule_csv(right, "s.csv", unused), unused) == right + "\n");
}

TEST_CASE("Each error has its place") {
  CHECK(errors(right, two).empty());
  CHECK(errors("0F0,0X1,0B0,0B1\n1F0,1B0,1F1,1B1\n", two) ==
        Lines{"s.csv:1:5: " + std::string(expected) + "'0X1'", "s.csv:1:16: device 0 lacks 0F1"});
  CHECK(errors("0F0, 0f1,0B0,0B1\n1F0,1B0,1F1,1B1\n", two)[0] ==
        "s.csv:1:6: " + std::string(expected) + "'0f1'; did you mean '0F1'?");
  for (const std::string bad : {"F0", "0F", "0", "0F-1", "-1F0", "0F0x", "0U0", "0F99999999999", "99999999999F0",
                                "0 F0", "\x01\x02", "0F1.5", "\"0F1\"", "+0F1", "0F+1"}) {
    CAPTURE(bad);
    const Lines found = errors("0F0,0F1,0B0,0B1," + bad + "\n1F0,1B0,1F1,1B1\n", two);
    REQUIRE(found.size() == 1);
    CHECK(found[0].starts_with("s.csv:1:17: " + std::string(expected)));
  }
  CHECK(errors("0F0,0F1,0B0,0B1\n1F0,1RECV_F0,1B0,1F1,1B1\n", two) ==
        Lines{"s.csv:2:5: '1RECV_F0' is communication; expected PyTorch's compute_only format, actions alone"});
  CHECK(errors("0F0,0F1,0B0,0B1,7F0\n1F0,1B0,1F1,1B1,1F9\n", two) ==
        Lines{"s.csv:1:17: '7F0': there is no stage 7, the last is 1",
              "s.csv:2:17: '1F9': there is no micro-batch 9, the last is 1"});
  CHECK(errors("0F0,0F1,0F0,0B0,0B1\n1F0,1B0,1F1,1B1\n", two) ==
        Lines{"s.csv:1:9: 0F0 a second time; the first is at 1:1"});
  CHECK(errors("0F0,0B0,0B1\n1F0,1B0,1F1,1B1,0F1\n", two) ==
        Lines{"s.csv:2:17: 0F1 runs on device 0, which is line 1"});
  CHECK(errors("0F0,0F1,0B0,0I0,0B1\n1F0,1B0,1F1,1B1\n", two) ==
        Lines{"s.csv:1:13: 0I0: a micro-batch has either B, or I and W; the other is at 1:9"});
  CHECK(errors("0F0,0F1,0I0,0B1\n1F0,1B0,1F1\n", two) ==
        Lines{"s.csv:1:16: device 0 lacks 0W0", "s.csv:2:12: device 1 lacks 1B1 (or 1I1 and 1W1)"});
  CHECK(errors("0F0,0F1,0B0,0B1\n", two) == Lines{"s.csv:2:1: the schedule has 1 lines, one a device would be 2"});
  CHECK(errors(right + "0F0\n", two) == Lines{"s.csv:3:1: the schedule has 3 lines, one a device would be 2"});
  CHECK(errors("", two) == Lines{"s.csv:1:1: the schedule has 0 lines, one a device would be 2"});
  CHECK(errors("\n\n", chain(2, 9))[0] ==
        "s.csv:1:1: device 0 lacks 0F0, 0B0 (or 0I0 and 0W0), 0F1, 0B1 (or 0I1 and 0W1), 0F2, 0B2 (or 0I2 and 0W2), "
        "0F3, 0B3 (or 0I3 and 0W3) and 10 more");
  ScheduleShape forward_only = two;
  forward_only.training = false;
  CHECK(errors("0F0,0F1,0B0\n1F0,1F1\n", forward_only) ==
        Lines{"s.csv:1:9: '0B0': there is nothing but F without training"});
  CHECK(errors("0F0,0F1\n1F0,1F1\n", forward_only).empty());
}

TEST_CASE("Actions at the same time") {
  CHECK(parse_schedule_csv("0F0,( 0F1 ; 0B0 )OVERLAP_F_B,0B1\n1F0,1B0,1F1,1B1\n", "s.csv", two) ==
        parse_schedule_csv(right, "s.csv", two));
  const std::string shape_text = "expected actions at the same time as (0F1;1B0)OVERLAP_F_B, got ";
  CHECK(errors("0F0,(0F1;0B0)OVERLAP,0B1\n1F0,1B0,1F1,1B1\n", two)[0] ==
        "s.csv:1:5: " + shape_text + "'(0F1;0B0)OVERLAP'");
  CHECK(errors("0F0,(0F1;0B0,0B1\n1F0,1B0,1F1,1B1\n", two)[0] == "s.csv:1:5: " + shape_text + "'(0F1;0B0'");
  CHECK(errors("0F0,(0F1; 0Z0)OVERLAP_F_B,0B0,0B1\n1F0,1B0,1F1,1B1\n", two) ==
        Lines{"s.csv:1:11: " + std::string(expected) + "'0Z0'"});
}

TEST_CASE("A deadlock has the place of the first action of its cycle") {
  CHECK(errors("0F0,0B0,0F1,0B1\n1F0,1F1,1B0,1B1\n", two) ==
        Lines{"s.csv:1:5: deadlock: 0B0 waits for 1B0, which stands behind 1F1, which waits for 0F1, which stands "
              "behind 0B0"});
  CHECK(errors("0F0,0F1,0B0,0B1\n1B0,1F0,1F1,1B1\n", two) ==
        Lines{"s.csv:2:1: deadlock: 1B0 waits for 1F0, which stands behind 1B0"});
  CHECK(errors("0F0,0F1,0B0,0U,0B1\n1F0,1B0,1F1,1B1\n", two) ==
        Lines{"s.csv:1:13: deadlock: 0U waits for 0B1, which stands behind 0U"});
}

TEST_CASE("Very wrong files: many errors, long lines, noise") {
  std::string noise = "0F0";
  for (int i = 0; i < 5000; ++i) noise += ",?";
  const Lines found = errors(noise + "\n" + noise + "\n", two);
  CHECK(found.size() == 100);
  CHECK_THROWS_WITH_AS(parse_schedule_csv(noise + "\n", "s.csv", chain(1, 1)), doctest::Contains("more errors"),
                       InputError);
  std::mt19937 random(9);
  std::uniform_int_distribution<int> byte(0, 255);
  const std::string likely = "0123456789FIWBU,,,();\n";
  for (int number = 0; number < 2000; ++number) {
    std::string text;
    for (int i = byte(random); i > 0; --i)
      text += number % 2 == 0 ? static_cast<char>(byte(random))
                              : likely[static_cast<std::size_t>(byte(random)) % likely.size()];
    CHECK_FALSE(errors(text, two).empty());
  }
}

TEST_CASE("Files that cannot be read say why") {
  const std::filesystem::path folder = std::filesystem::temp_directory_path() / "lenet_flow_schedule_file_test";
  std::filesystem::create_directories(folder);
  const auto path = folder / "s.csv";
  std::ofstream(path) << right;
  CHECK(read_schedule_csv(path, two) == parse_schedule_csv(right, "s.csv", two));
  std::ofstream(path) << "0F0\n";
  CHECK_THROWS_WITH_AS(read_schedule_csv(path, two), doctest::Contains("s.csv:2:1: the schedule has 1 lines"),
                       InputError);
  std::filesystem::remove(path);
  CHECK_THROWS_WITH_AS(read_schedule_csv(path, two), doctest::Contains("s.csv: cannot read the schedule: no such file"),
                       InputError);
  CHECK_THROWS_WITH_AS(read_schedule_csv(folder, two), doctest::Contains("it is a folder"), InputError);
  std::filesystem::remove_all(folder);
}

// --inject and "pipeline.inject".
#include "tests/engine/graph/support.h"

using namespace lenet_flow;
using namespace lenet_flow::graph_test;

namespace {

std::string with(const std::string& inject) {
  Parts parts;
  parts.devices = R"("devices": {"cpu0": {"kind": "cpu"}, "both": {"kind": "cpu"}})";
  parts.layers = R"("layers": [{"name": "flat", "type": "flatten", "device": "cpu0"},
    {"name": "both", "type": "relu", "device": "cpu0"},
    {"name": "fc", "type": "dense", "out_features": 10, "device": "both"}])";
  parts.pipeline = R"("pipeline": {"micro_batch": 16)" + inject + "}";
  return parts.text();
}

InjectEntry entry(const std::string& text) {
  return parse_graph_file(with(""), "g.json", {{}, {}, {text}}).pipeline.inject.at(0);
}

/// What is wrong with one entry, without its place.
std::string error(const std::string& text) {
  const Lines lines = errors_of(with(""), {{}, {}, {text}});
  CHECK(lines.size() == 1);
  const std::string place = "--inject " + text + ": ";
  if (lines.empty() || !lines[0].starts_with(place)) return lines.empty() ? "" : lines[0];
  return lines[0].substr(place.size());
}

}  // namespace

TEST_CASE("a delay is a time, a factor, or a link's latency and rate") {
  CHECK(entry("fc=+200us").nanoseconds == 200'000);
  CHECK(entry("fc=+1.5ms").nanoseconds == 1'500'000);
  CHECK(entry("fc=+1ns").nanoseconds == 1);
  CHECK(entry("fc=+60s").nanoseconds == 60'000'000'000);
  CHECK(entry("fc=x1.5").factor == 1.5);
  CHECK(entry("fc=+1us,x2").factor == 2);
  CHECK(entry("fc=+1us,x2").nanoseconds == 1000);
  CHECK(entry("cpu0=x1.5").target == InjectEntry::Target::device);
  const InjectEntry link = entry("link:flat..both->fc=+50us,1GB/s");
  CHECK(link.target == InjectEntry::Target::link);
  CHECK(link.from == "flat..both");
  CHECK(link.to == "fc");
  CHECK(link.nanoseconds == 50'000);
  CHECK(link.bytes_per_second == 1e9);
  CHECK(entry("link:a-->b=2.5MB/s").from == "a-");
  CHECK(entry("link:a->b=1000B/s").bytes_per_second == 1000);
}

TEST_CASE("a layer and a device of one name are told apart") {
  CHECK(error("both=x2") == "'both' is a layer and a device; write layer:both or device:both");
  CHECK(entry("layer:both=x2").target == InjectEntry::Target::layer);
  CHECK(entry("device:both=x2").target == InjectEntry::Target::device);
  CHECK(error("layer:cpu0=x2") == "unknown layer 'cpu0'; known: both, fc, flat");
  CHECK(error("device:fc=x2") == "unknown device 'fc'; known: both, cpu0");
}

TEST_CASE("a wrong entry says what would be right") {
  CHECK(error("flet=+1us") == "unknown layer or device 'flet'; did you mean 'flat'?");
  const std::string form = "expected WHAT=DELAY, such as conv2=+200us, cpu1=x1.5 or link:conv1->fc=+50us,1GB/s, got ";
  for (const char* text : {"", "=", "fc", "fc=", "=x2"}) CHECK(error(text) == form + "'" + text + "'");
  const std::string time = "expected +TIME from +1ns to +60s, such as +200us (units: ns, us, ms, s), got ";
  for (const char* text : {"+", "+200", "+us", "+-5us", "+5 us", "+5min", "+0us", "+0.1ns", "+61s", "+1e3us", "+nanus",
                           "+infs", "++5us", "+5us5", "+0x10us"})
    CHECK(error(std::string("fc=") + text) == time + "'" + text + "'");
  const std::string factor = "expected xFACTOR from x1 to x1000, such as x1.5, got ";
  for (const char* text : {"x", "x0.5", "x-2", "x1001", "xnan", "xinf", "x2x", "x1,5"}) {
    if (std::string(text) == "x1,5") continue;
    CHECK(error(std::string("cpu0=") + text) == factor + "'" + text + "'");
  }
  CHECK(error("cpu0=+2us") == "expected xFACTOR for a device, such as x1.5, got '+2us'");
  CHECK(error("cpu0=x2,") == "expected xFACTOR for a device, such as x1.5, got ''");
  for (const char* text : {"200us", "-200us", "2GB/s", "x"})
    if (*text != 'x')
      CHECK(error(std::string("fc=") + text) ==
            std::string("expected +TIME or xFACTOR for a layer, such as +200us or x1.5, got '") + text + "'");
  for (const char* text : {"1GB", "1Gb/s", "-1GB/s", "999B/s", "1001TB/s", "1e9B/s", ""})
    CHECK(error(std::string("link:flat->fc=+1us,") + text).starts_with("expected a rate from 1kB/s to 1000TB/s"));
  CHECK(error("link:flat->fc=x2") == "expected +TIME and a rate for a link, such as +50us,1GB/s, got 'x2'");
  for (const char* text : {"link:", "link:a", "link:->b", "link:a->", "link:a>b"})
    CHECK(error(std::string(text) + "=+1us") ==
          std::string("expected link:FROM->TO, such as link:conv1->fc, got '") + text + "'");
}

TEST_CASE("the file's entries come first, the command line's after them") {
  const GraphFile file =
      parse_graph_file(with(R"(, "inject": ["fc=+1us", "cpu0=x2"])"), "g.json", {{}, {}, {"fc=+2us"}});
  REQUIRE(file.pipeline.inject.size() == 3);
  CHECK(file.pipeline.inject[0].text == "fc=+1us");
  CHECK(file.pipeline.inject[2].text == "fc=+2us");
}

TEST_CASE("a wrong entry of the file has its line and column") {
  CHECK(errors_of(with(R"(, "inject": ["fc=+1us", "fcc=+1us"])")) ==
        Lines{"g.json:10:55: pipeline.inject: unknown layer or device 'fcc'; did you mean 'fc'?"});
  CHECK(errors_of(with(R"(, "inject": [3])")) ==
        Lines{"g.json:10:44: pipeline.inject: expected a delay, such as \"conv2=+200us\", got 3"});
  CHECK(errors_of(with(R"(, "inject": "fc=+1us")")).size() == 1);
  CHECK(errors_of(with(R"(, "inject": [])")).empty());
  CHECK(errors_of(with(R"(, "injects": [])")).size() == 1);
}

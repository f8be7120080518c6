#include "engine/plan/this_machine.h"

#include <doctest/doctest.h>

#include <cstdlib>
#include <fstream>
#include <stdexcept>

#include "tests/engine/training/temporary_folder.h"

using namespace lenet_flow;

namespace {

ThisMachine example() {
  ThisMachine machine;
  machine.version = "1.2.3";
  machine.cpu_model = "A \"CPU\"";
  machine.cores = {0, 1, 4};
  machine.gpus.driver = "580.65.06";
  machine.gpus.driver_version = 13000;
  Gpu& gpu = machine.gpus.gpus.emplace_back();
  gpu.name = "NVIDIA H200";
  gpu.uuid = "GPU-1";
  gpu.pci_bus_id = "0000:3B:00.0";
  Measures& measures = machine.measures.emplace();
  measures.cpus = {{1, 1e11 / 3, 4e10, 5e10}, {3, 3e11, 6e10, 7e10}};
  measures.gpus = {{0, 6e13, 4.1e12, 2.5e-6, 7.25e-6, 3e-6, 8e-6}};
  measures.links = {{"cpu", "gpu0", "pinned host memory", 9e-6, {{4096, 1e9}, {std::uint64_t{1} << 28, 5.5e10}}, 9e10}};
  return machine;
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  REQUIRE_MESSAGE(at != std::string::npos, from);
  return text.replace(at, from.size(), to);
}

/// XDG_CACHE_HOME in `folder`, for as long as this lives.
class CacheIn {
 public:
  explicit CacheIn(const TemporaryFolder& folder) {
    if (const char* was = std::getenv("XDG_CACHE_HOME")) was_ = was;
    setenv("XDG_CACHE_HOME", folder.path().c_str(), 1);
  }
  ~CacheIn() {
    if (was_)
      setenv("XDG_CACHE_HOME", was_->c_str(), 1);
    else
      unsetenv("XDG_CACHE_HOME");
  }
  CacheIn(const CacheIn&) = delete;
  CacheIn& operator=(const CacheIn&) = delete;

 private:
  std::optional<std::string> was_;
};

}  // namespace

TEST_CASE("measures come back from JSON as they were") {
  const ThisMachine machine = example();
  const Measures& was = *machine.measures;
  const Measures measures = read_measures(machine_json(machine), machine_key(machine));
  REQUIRE(measures.cpus.size() == 2);
  CHECK(measures.cpus[0].flops == was.cpus[0].flops);
  CHECK(measures.cpus[1].cores == 3);
  CHECK(measures.cpus[1].triad_bytes_per_second == 7e10);
  REQUIRE(measures.gpus.size() == 1);
  CHECK(measures.gpus[0].launch_to_done_seconds == 7.25e-6);
  CHECK(measures.gpus[0].graph_launch_seconds == 3e-6);
  REQUIRE(measures.links.size() == 1);
  CHECK(measures.links[0].from == "cpu");
  CHECK(measures.links[0].way == "pinned host memory");
  REQUIRE(measures.links[0].rates.size() == 2);
  CHECK(measures.links[0].rates[1].bytes == std::uint64_t{1} << 28);
  CHECK(measures.links[0].rates[1].bytes_per_second == 5.5e10);
  CHECK(measures.links[0].both_bytes_per_second == 9e10);
}

TEST_CASE("the key changes with what the measures depend on, and with nothing else") {
  const std::string key = machine_key(example());
  const auto differs = [&](auto&& change) {
    ThisMachine machine = example();
    change(machine);
    return machine_key(machine) != key;
  };
  CHECK(differs([](ThisMachine& machine) { machine.cpu_model = "Another"; }));
  CHECK(differs([](ThisMachine& machine) { machine.cores = {0, 1}; }));
  CHECK(differs([](ThisMachine& machine) { machine.gpus.driver = "590.1"; }));
  CHECK(differs([](ThisMachine& machine) { machine.gpus.gpus[0].uuid = "GPU-2"; }));
  CHECK(differs([](ThisMachine& machine) { machine.gpus.gpus.clear(); }));
  CHECK_FALSE(differs([](ThisMachine& machine) { machine.available_bytes = 5; }));
  CHECK_FALSE(differs([](ThisMachine& machine) { machine.gpus.gpus[0].free_bytes = 5; }));
  CHECK_FALSE(differs([](ThisMachine& machine) { machine.measures.reset(); }));
}

TEST_CASE("JSON that is not what it should be is refused, with the reason") {
  const ThisMachine machine = example();
  const std::string key = machine_key(machine), json = machine_json(machine);
  ThisMachine unmeasured = machine;
  unmeasured.measures.reset();
  const std::pair<std::string, std::string> wrongs[] = {
      {"", "is not whole JSON"},
      {json.substr(0, json.size() / 2), "is not whole JSON"},
      {std::string(100'000, '['), "is not whole JSON"},
      {"[1, 2]", "field 'schema' is missing"},
      {"{}", "field 'schema' is missing"},
      {replaced(json, "devices/1", "devices/2"), "is not of schema lenet-flow.devices/1"},
      {replaced(json, "GPU-1 at", "GPU-2 at"), "is of another machine"},
      {machine_json(unmeasured), "field 'cpus' is missing"},
      {replaced(json, "\"cpus\"", "\"cpu\""), "field 'cpus' is missing"},
      {replaced(json, "60000000000000.0", "-60000000000000"), "field 'flops' is no number greater than 0"},
      {replaced(json, "60000000000000.0", "\"fast\""), "field 'flops' is no number greater than 0"},
      {replaced(json, "60000000000000.0", "0"), "field 'flops' is no number greater than 0"},
      {replaced(json, "60000000000000.0", "null"), "field 'flops' is no number greater than 0"},
      {replaced(json, "\"bytes\": 4096", "\"bytes\": 40.5"), "field 'bytes' is no whole number from 1"},
      {replaced(json, "\"from\": \"cpu\"", "\"from\": 3"), "field 'from' is no text"},
  };
  for (const auto& [text, said] : wrongs) {
    CAPTURE(said);
    CHECK_THROWS_WITH_AS(read_measures(text, key), said.c_str(), std::runtime_error);
  }
}

TEST_CASE("measures that were kept are found again; a broken file is passed over with a warning") {
  const TemporaryFolder folder;
  const CacheIn cache(folder);
  const ThisMachine machine = example();
  const std::filesystem::path path = measures_file(machine_key(machine));
  CHECK(path.parent_path() == folder / "lenet-flow" / "devices");
  std::vector<std::string> warnings;
  CHECK_FALSE(cached_measures(machine, warnings));
  CHECK(warnings.empty());

  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path) << machine_json(machine);
  CHECK(cached_measures(machine, warnings).value().gpus.size() == 1);
  CHECK(warnings.empty());

  ThisMachine other = machine;
  other.gpus.driver = "590.1";
  CHECK_FALSE(cached_measures(other, warnings));
  CHECK(warnings.empty());

  std::ofstream(path) << "broken";
  CHECK_FALSE(cached_measures(machine, warnings));
  REQUIRE(warnings.size() == 1);
  CHECK(warnings[0] ==
        path.string() + ": is not whole JSON; passed over ('lenet-flow devices --measure' writes it anew)");
}

TEST_CASE("this machine: what is said of it can be read") {
  ThisMachine machine = look_at_this_machine();
  CHECK_FALSE(machine.cores.empty());
  CHECK_FALSE(machine.measures);
  machine.measures = Measures{};
  CHECK(read_measures(machine_json(machine), machine_key(machine)).cpus.empty());
}

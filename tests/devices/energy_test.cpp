#include "devices/energy.h"

#include <doctest/doctest.h>

#include <fstream>

#include "tests/engine/training/temporary_folder.h"

using namespace lenet_flow;

// FAKE_NVML: the library made of fake_nvml.cpp. Its counter moves by 1.5 J each time it is read.

namespace {

void write(const std::filesystem::path& path, const std::string& text) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path) << text << "\n";
}

/// Two packages, and a part of one that must not count again.
void write_counters(const TemporaryFolder& folder, std::uint64_t first, std::uint64_t second) {
  for (const auto& [domain, name, microjoules] :
       {std::tuple("intel-rapl:0", "package-0", first), std::tuple("intel-rapl:1", "package-1", second),
        std::tuple("intel-rapl:0:0", "core", first)}) {
    write(folder / domain / "name", name);
    write(folder / domain / "max_energy_range_uj", "1000000");
    write(folder / domain / "energy_uj", std::to_string(microjoules));
  }
  write(folder / "intel-rapl" / "enabled", "1");
}

}  // namespace

TEST_CASE("energy of CPU packages: summed, over spans, and over a counter that begins anew") {
  const TemporaryFolder folder;
  write_counters(folder, 100'000, 200'000);
  EnergyMeter meter({}, {folder.path(), FAKE_NVML});
  meter.start();
  write_counters(folder, 350'000, 300'000);
  meter.stop();
  REQUIRE(meter.readings().size() == 1);
  CHECK(meter.readings()[0].name == "cpu_packages");
  CHECK(meter.readings()[0].joules.value() == doctest::Approx(0.35));

  write_counters(folder, 900'000, 300'000);  // between two spans: nobody's
  meter.start();
  write_counters(folder, 950'000, 300'000);
  meter.look();
  write_counters(folder, 50'000, 300'000);  // over the top: 50,000 to it and 50,000 from it
  meter.stop();
  CHECK(meter.readings()[0].joules.value() == doctest::Approx(0.35 + 0.05 + 0.1));
  CHECK(meter.readings()[0].why.empty());
}

TEST_CASE("energy of GPUs, each by its name; one that NVML does not know has a reason instead") {
  const TemporaryFolder folder;
  EnergyMeter meter({{"gpu0", "0000:3B:00.0"}, {"gpu1", "0000:99:00.0"}}, {folder.path(), FAKE_NVML});
  meter.start();
  meter.stop();
  REQUIRE(meter.readings().size() == 3);
  CHECK(meter.readings()[1].name == "gpu0");
  CHECK(meter.readings()[1].joules.value() == doctest::Approx(1.5));
  CHECK_FALSE(meter.readings()[2].joules);
  CHECK(meter.readings()[2].why == "NVML knows no GPU at 0000:99:00.0: Not Found");
}

TEST_CASE("where there are no counters, or they are not what they should be, the reason is said") {
  const TemporaryFolder folder;
  const auto why = [](const std::filesystem::path& powercap) {
    EnergyMeter meter({}, {powercap, FAKE_NVML});
    meter.start();
    meter.stop();
    CHECK_FALSE(meter.readings()[0].joules);
    return meter.readings()[0].why;
  };
  CHECK(why(folder / "none") ==
        "this system shows no energy counter of the CPU (RAPL) in " + (folder / "none").string());
  write_counters(folder, 1, 2);
  write(folder / "intel-rapl:1" / "energy_uj", "much");
  const std::string counter = (folder / "intel-rapl:1" / "energy_uj").string();
  CHECK(why(folder.path()) == counter + " cannot be read: it holds no number");
  std::filesystem::remove(counter);
  CHECK(why(folder.path()) == counter + " cannot be read: No such file or directory");

  EnergyMeter meter({{"gpu0", "0000:3B:00.0"}}, {folder.path(), "libno_such_nvml.so.1"});
  meter.start();
  meter.stop();
  CHECK(meter.readings()[1].why == "libno_such_nvml.so.1 was not found");
}

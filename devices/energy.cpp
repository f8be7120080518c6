#include "devices/energy.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <system_error>

namespace lenet_flow {
namespace {

namespace fs = std::filesystem;

std::optional<std::uint64_t> number_in(const fs::path& path) {
  std::ifstream file(path);
  std::uint64_t value = 0;
  return file >> value ? std::optional(value) : std::nullopt;
}

std::string word_in(const fs::path& path) {
  std::ifstream file(path);
  std::string word;
  file >> word;
  return word;
}

std::string why_not_readable(const fs::path& path) {
  errno = 0;
  const std::ifstream file(path);
  return fmt::format("{} cannot be read: {}", path.string(),
                     file || errno == 0 ? "it holds no number" : std::generic_category().message(errno));
}

}  // namespace

EnergyMeter::EnergyMeter(const std::vector<MeteredGpu>& gpus) : EnergyMeter(gpus, Places()) {}

EnergyMeter::EnergyMeter(const std::vector<MeteredGpu>& gpus, const Places& places) {
  readings_.push_back({cpu_name, 0.0, ""});
  find_packages(places.powercap);
  if (!gpus.empty()) nvml_ = std::make_unique<Nvml>(places.nvml);
  for (const MeteredGpu& gpu : gpus) {
    gpus_.push_back({gpu.pci_bus_id});
    readings_.push_back({gpu.name, 0.0, ""});
  }
  take(false);  // what cannot be read is known from here on
}

/// Domains "intel-rapl:0", ... whose name is "package-0", ...; their parts ("intel-rapl:0:0": cores, memory) would
/// count twice.
void EnergyMeter::find_packages(const fs::path& powercap) {
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(powercap, error)) {
    if (!word_in(entry.path() / "name").starts_with("package")) continue;
    packages_.push_back({entry.path() / "energy_uj", number_in(entry.path() / "max_energy_range_uj").value_or(0)});
  }
  if (packages_.empty())
    fail(readings_[0], fmt::format("this system shows no energy counter of the CPU (RAPL) in {}", powercap.string()));
}

void EnergyMeter::fail(EnergyReading& reading, const std::string& why) {
  reading.joules.reset();
  if (reading.why.empty()) reading.why = why;
}

void EnergyMeter::take_packages(bool count) {
  EnergyReading& reading = readings_[0];
  for (Package& package : packages_) {
    const std::optional<std::uint64_t> now = number_in(package.counter);
    if (!now) return fail(reading, why_not_readable(package.counter));
    const std::uint64_t moved = *now >= package.last ? *now - package.last : *now + package.range - package.last;
    package.last = *now;
    if (count && reading.joules) *reading.joules += static_cast<double>(moved) * 1e-6;
  }
}

void EnergyMeter::take(bool count) {
  take_packages(count);
  for (std::size_t i = 0; i < gpus_.size(); ++i) {
    EnergyReading& reading = readings_[i + 1];
    const Nvml::Energy energy = nvml_->energy(gpus_[i].pci_bus_id);
    if (!energy.joules) {
      fail(reading, energy.why);
      continue;
    }
    if (count && reading.joules) *reading.joules += *energy.joules - gpus_[i].last;
    gpus_[i].last = *energy.joules;
  }
}

void EnergyMeter::start() { take(false); }
void EnergyMeter::look() { take(true); }
void EnergyMeter::stop() { take(true); }

}  // namespace lenet_flow

#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "devices/cuda/nvml.h"

namespace lenet_flow {

/// What something has used, or why that is not known.
struct EnergyReading {
  std::string name;
  std::optional<double> joules;
  std::string why;  ///< empty where `joules` is known
};

/// Counts the energy that the CPU's packages and GPUs use between start() and stop(), over as many such spans as there
/// are. The counters belong to whole packages and GPUs: what other programs use there is counted too. No function
/// throws. One thread at a time.
class EnergyMeter {
 public:
  /// Name of the reading of all CPU packages together.
  static constexpr const char* cpu_name = "cpu_packages";

  /// A GPU by the name that its reading shall have.
  struct MeteredGpu {
    std::string name, pci_bus_id;
  };
  /// Where the counters are. For tests.
  struct Places {
    std::filesystem::path powercap = "/sys/class/powercap";  ///< of Intel's and AMD's RAPL, as Linux shows it
    std::string nvml = Nvml::library_name();
  };
  explicit EnergyMeter(const std::vector<MeteredGpu>& gpus);
  EnergyMeter(const std::vector<MeteredGpu>& gpus, const Places& places);

  void start();
  /// Between start() and stop(), now and then: a CPU's counter begins anew after some minutes of full load, and what it
  /// counted twice over would be lost.
  void look();
  void stop();

  /// CPU packages first, then the GPUs. What was not known at any look is not known.
  const std::vector<EnergyReading>& readings() const { return readings_; }

 private:
  struct Package {
    std::filesystem::path counter;
    std::uint64_t range = 0;  ///< microjoules, after which the counter begins at 0 again
    std::uint64_t last = 0;
  };
  struct CountedGpu {
    std::string pci_bus_id;
    double last = 0;
  };

  void find_packages(const std::filesystem::path& powercap);
  /// Takes all counters; with `count`, adds what they have moved.
  void take(bool count);
  void take_packages(bool count);
  void fail(EnergyReading& reading, const std::string& why);

  std::unique_ptr<Nvml> nvml_;  ///< none where there is no GPU to ask it for
  std::vector<Package> packages_;
  std::vector<CountedGpu> gpus_;
  std::vector<EnergyReading> readings_;
};

}  // namespace lenet_flow

#include "devices/cuda/nvml.h"

#include <span>

namespace lenet_flow {
namespace {

// The types of nvml.h of the NVIDIA driver, whose binary interface is stable: a function that changes gets a new name.
constexpr int success = 0;

struct Memory {  // nvmlMemory_t
  unsigned long long total, free, used;
};

}  // namespace

std::string Nvml::library_name() { return "libnvidia-ml.so.1"; }

Nvml::Nvml(const std::string& library) : library_(std::span(&library, 1)), why_(library_.why()) {
  if (!library_.is_loaded()) return;
  const auto start = library_.function<int()>("nvmlInit_v2");
  const int result = start ? start() : success;
  if (!start)
    why_ = library + " has no nvmlInit_v2";
  else if (result != success)
    why_ = "NVML does not start: " + error_text(result);
}

Nvml::~Nvml() {
  if (!why_.empty()) return;
  if (const auto stop = library_.function<int()>("nvmlShutdown")) stop();
}

std::string Nvml::error_text(int result) const {
  const auto text = library_.function<const char*(int)>("nvmlErrorString");
  const char* words = text ? text(result) : nullptr;
  return words ? words : "error " + std::to_string(result);
}

std::string Nvml::driver_version() const {
  const auto ask = library_.function<int(char*, unsigned)>("nvmlSystemGetDriverVersion");
  char version[96] = "";
  return why_.empty() && ask && ask(version, sizeof version) == success ? version : "";
}

std::optional<Nvml::Handle> Nvml::find(const std::string& pci_bus_id, std::string& why) const {
  why = why_;
  if (!why.empty()) return std::nullopt;
  const auto ask = library_.function<int(const char*, Handle*)>("nvmlDeviceGetHandleByPciBusId_v2");
  Handle handle = nullptr;
  const int result = ask ? ask(pci_bus_id.c_str(), &handle) : success;
  if (ask && result == success) return handle;
  why = "NVML knows no GPU at " + pci_bus_id + (ask ? ": " + error_text(result) : "");
  return std::nullopt;
}

std::optional<std::uint64_t> Nvml::free_bytes(const std::string& pci_bus_id) const {
  std::string why;
  const auto handle = find(pci_bus_id, why);
  const auto ask = library_.function<int(Handle, Memory*)>("nvmlDeviceGetMemoryInfo");
  Memory memory{};
  if (!handle || !ask || ask(*handle, &memory) != success) return std::nullopt;
  return memory.free;
}

std::optional<double> Nvml::watts(const std::string& pci_bus_id) const {
  std::string why;
  const auto handle = find(pci_bus_id, why);
  const auto ask = library_.function<int(Handle, unsigned*)>("nvmlDeviceGetPowerUsage");
  unsigned milliwatts = 0;
  if (!handle || !ask || ask(*handle, &milliwatts) != success) return std::nullopt;
  return milliwatts * 1e-3;
}

Nvml::Energy Nvml::energy(const std::string& pci_bus_id) const {
  Energy energy;
  const auto handle = find(pci_bus_id, energy.why);
  if (!handle) return energy;
  const auto ask = library_.function<int(Handle, unsigned long long*)>("nvmlDeviceGetTotalEnergyConsumption");
  unsigned long long millijoules = 0;
  const int result = ask ? ask(*handle, &millijoules) : success;
  if (ask && result == success)
    energy.joules = static_cast<double>(millijoules) * 1e-3;
  else
    energy.why = "NVML does not count this GPU's energy" + (ask ? ": " + error_text(result) : "");
  return energy;
}

}  // namespace lenet_flow

#include "engine/plan/this_machine.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <fstream>
#include <iterator>
#include <stdexcept>

#include "devices/machine.h"
#include "engine/data/catalog.h"
#include "engine/data/checksum.h"
#include "engine/training/version.h"

namespace lenet_flow {

namespace fs = std::filesystem;

ThisMachine look_at_this_machine() {
  const Machine& here = Machine::here();
  ThisMachine machine;
  machine.version = LENET_FLOW_VERSION;
  machine.cpu_model = here.cpu_model();
  machine.cores = here.cores();
  machine.cache_bytes = here.cache_bytes();
  machine.memory_bytes = here.memory_bytes();
  machine.available_bytes = Machine::available_bytes();
  machine.gpus = find_gpus();
  look_closer(machine.gpus);
  machine.missing = missing_cuda_libraries();
  return machine;
}

std::string machine_key(const ThisMachine& machine) {
  std::string key = fmt::format("{}, cores {}", machine.cpu_model, fmt::join(machine.cores, " "));
  for (const Gpu& gpu : machine.gpus.gpus)
    key += fmt::format("; {}: {} {} at {}", gpu.index, gpu.name, gpu.uuid, gpu.pci_bus_id);
  if (!machine.gpus.gpus.empty())
    key += fmt::format("; driver {}, CUDA {}", machine.gpus.driver, cuda_version_text(machine.gpus.driver_version));
  return key;
}

fs::path measures_file(const std::string& key) {
  const fs::path cache = cache_folder();
  if (cache.empty()) return {};
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(key.data());
  return cache / "devices" / (sha256(std::span(bytes, key.size())).substr(0, 16) + ".json");
}

std::optional<Measures> cached_measures(const ThisMachine& machine, std::vector<std::string>& warnings) {
  const std::string key = machine_key(machine);
  const fs::path path = measures_file(key);
  std::error_code error;
  if (path.empty() || !fs::exists(path, error)) return std::nullopt;
  std::ifstream file(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  try {
    if (!file) throw std::runtime_error("cannot be read");
    return read_measures(text, key);
  } catch (const std::runtime_error& wrong) {
    warnings.push_back(fmt::format("{}: {}; passed over ('lenet-flow devices --measure' writes it anew)", path.string(),
                                   wrong.what()));
    return std::nullopt;
  }
}

}  // namespace lenet_flow

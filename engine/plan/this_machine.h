#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "devices/gpus.h"
#include "devices/measures.h"

namespace lenet_flow {

/// What `lenet-flow devices` says: facts, and measures where they were taken.
struct ThisMachine {
  std::string version;  ///< of this program
  std::string cpu_model;
  std::vector<int> cores;
  std::vector<std::uint64_t> cache_bytes;  ///< as one core sees them, level 1 first
  std::uint64_t memory_bytes = 0, available_bytes = 0;
  GpuSearch gpus;
  std::vector<MissingLibrary> missing;
  std::optional<Measures> measures;
};

/// The facts, without measures. Never throws for what a machine lacks.
ThisMachine look_at_this_machine();

/// What the measures depend on, in a line: CPU, cores, GPUs, driver.
std::string machine_key(const ThisMachine& machine);

/// Schema lenet-flow.devices/1; README.md names its fields. Ends with a line feed.
std::string machine_json(const ThisMachine& machine);

/// The measures in such JSON. Throws std::runtime_error with what is wrong: no JSON, another schema, another machine's
/// `key`, no measures, a field that is missing or no number that can be.
Measures read_measures(std::string_view json, const std::string& key);

/// Where the measures of the machine with this key are kept; empty where the user has no cache folder.
std::filesystem::path measures_file(const std::string& key);

/// The measures that were kept of this machine, for those who plan. None where there are none; where the file is not
/// what it should be, none and a warning.
std::optional<Measures> cached_measures(const ThisMachine& machine, std::vector<std::string>& warnings);

}  // namespace lenet_flow

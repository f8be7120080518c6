#include "engine/pipeline/device_set.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <numeric>
#include <set>

#include "devices/async_device.h"
#include "devices/cpu_device.h"
#include "devices/gpus.h"
#include "devices/machine.h"

namespace lenet_flow {
namespace {

const DeviceEntry* find_entry(const GraphFile& file, const std::string& name) {
  for (const DeviceEntry& entry : file.devices)
    if (entry.name == name) return &entry;
  return nullptr;
}

/// Follows --map from device to device until one that stands for itself.
const DeviceEntry& resolve(const GraphFile& file, const DeviceEntry& entry) {
  const DeviceEntry* at = &entry;
  for (std::size_t steps = 0; steps <= file.devices.size(); ++steps) {
    const DeviceEntry* next = at->mapped_to.empty() ? nullptr : find_entry(file, at->mapped_to);
    if (!next) return *at;
    at = next;
  }
  throw InputError("--map " + entry.name + "=" + entry.mapped_to + ": goes round in a circle");
}

std::set<std::string> used_devices(const GraphFile& file) {
  std::set<std::string> used;
  for (const LayerEntry& layer : file.layers) {
    used.insert(layer.device);
    used.insert(layer.split.begin(), layer.split.end());
  }
  for (const StageEntry& stage : file.pipeline.stages) used.insert(stage.devices.begin(), stage.devices.end());
  return used;
}

}  // namespace

void CoreTurn::take() {
  std::unique_lock lock(mutex_);
  const std::uint64_t mine = next_++;
  changed_.wait(lock, [&] { return serving_ == mine; });
}

void CoreTurn::give() {
  {
    const std::lock_guard lock(mutex_);
    ++serving_;
  }
  changed_.notify_all();
}

DeviceSet::DeviceSet(const GraphFile& file, std::vector<std::string>& warnings) {
  for (const int core : Machine::here().cores()) load_[core] = 0;
  const std::set<std::string> used = used_devices(file);
  results_.resize(file.devices.size());
  // Devices that name their cores come first: the others take what is left.
  for (const bool listed : {true, false}) {
    for (std::size_t i = 0; i < file.devices.size(); ++i) {
      const DeviceEntry& entry = file.devices[i];
      results_[i].name = entry.name;
      results_[i].asked = entry.asked;
      if (!used.contains(entry.name)) {
        results_[i].used = "nothing";
        results_[i].why = "no layer is on it";
        continue;
      }
      const DeviceEntry& place = resolve(file, entry);
      const bool names_cores = place.kind == DeviceKind::cpu && place.mapped_to.empty() && !place.core_list.empty();
      if (names_cores != listed) continue;
      if (const auto known = index_of_.find(place.name); known != index_of_.end())
        index_of_[entry.name] = known->second;
      else if (!place_on_gpu(place))
        place_on_cpu(place, file, results_[i], warnings);
      const Device& device = *devices_[static_cast<std::size_t>(index_of_.at(place.name))];
      index_of_[entry.name] = index_of_.at(place.name);
      results_[i].used = device.description();
      if (const auto* cpu = dynamic_cast<const CpuDevice*>(&device))
        results_[i].cores = cpu->cores();
      else
        results_[i].index = place.mapped_to.empty() ? place.index : 0;
      if (!entry.mapped_to.empty()) results_[i].why = "--map " + entry.name + "=" + entry.mapped_to;
    }
  }
  for (const auto& a : devices_)
    for (const auto& b : devices_)
      if (a != b && a->kind() == DeviceKind::cuda && b->kind() == DeviceKind::cuda)
        static_cast<AsyncDevice&>(*a).reach(static_cast<AsyncDevice&>(*b));
  share_turns(warnings);
}

/// False where the entry asks for no GPU, or for one that is not there.
bool DeviceSet::place_on_gpu(const DeviceEntry& entry) {
  const bool mapped = entry.mapped_to == "cuda";
  if (!mapped && (!entry.mapped_to.empty() || entry.kind != DeviceKind::cuda)) return false;
  const int gpu = mapped ? 0 : entry.index;
  if (!count_cuda_devices || gpu >= count_cuda_devices()) return false;
  for (const Gpu& found : find_gpus().gpus)
    if (found.index == gpu && !found.why_unusable.empty()) return false;
  index_of_[entry.name] = size();
  devices_.push_back(open_cuda_device(entry.name, gpu));
  return true;
}

void DeviceSet::place_on_cpu(const DeviceEntry& entry, const GraphFile& file, DeviceResult& result,
                             std::vector<std::string>& warnings) {
  const int cores_here = static_cast<int>(load_.size());
  int count = entry.cores;
  std::vector<int> cores;
  if (!entry.mapped_to.empty()) {
    if (entry.mapped_to != "cpu")
      throw MissingError(fmt::format("--map {}={}: {}; '--map {}=cpu' puts it on a CPU core", entry.name,
                                     entry.mapped_to, find_gpus().why_no(0), entry.name));
    count = 1;
  } else if (entry.kind != DeviceKind::cpu) {
    const std::string why = find_gpus().why_no(entry.index);
    const std::string asks =
        fmt::format("device '{}' asks for {}, which this machine does not have ({})", entry.name, entry.asked, why);
    if (!entry.otherwise_cpu)
      throw MissingError(fmt::format("{}: {}; to run it on a CPU core add: --map {}=cpu", file.path, asks, entry.name));
    result.why = why + "; \"otherwise\": \"cpu\"";
    warnings.push_back(asks + ": it is a CPU device of one core instead (\"otherwise\": \"cpu\")");
    count = 1;
  } else if (!entry.core_list.empty()) {
    for (const int core : entry.core_list) {
      if (load_.contains(core) && std::find(cores.begin(), cores.end(), core) == cores.end()) {
        cores.push_back(core);
        ++load_[core];
      }
    }
    if (cores.size() < entry.core_list.size()) {
      result.why = "not all cores that it names are there";
      warnings.push_back(fmt::format("device '{}' names cores [{}], this machine lets it use only [{}] of {} in all",
                                     entry.name, fmt::join(entry.core_list, ", "), fmt::join(cores, ", "), cores_here));
    }
    count = cores.empty() ? 1 : 0;
  } else if (count > cores_here) {
    result.why = fmt::format("this machine has {} core{}", cores_here, cores_here == 1 ? "" : "s");
    warnings.push_back(
        fmt::format("device '{}' asks for {} cores; {}, so it has {}", entry.name, count, result.why, cores_here));
    count = cores_here;
  }
  if (count > 0) cores = allot_cores(count);
  index_of_[entry.name] = size();
  devices_.push_back(std::make_unique<CpuDevice>(entry.name, cores));
}

std::vector<int> DeviceSet::allot_cores(int count) {
  std::vector<int> cores;
  for (const auto& [core, load] : load_) cores.push_back(core);
  std::stable_sort(cores.begin(), cores.end(), [&](int a, int b) { return load_[a] < load_[b]; });
  cores.resize(static_cast<std::size_t>(count));
  std::sort(cores.begin(), cores.end());
  for (const int core : cores) ++load_[core];
  return cores;
}

/// One CoreTurn for each group of devices that are joined by shared cores.
void DeviceSet::share_turns(std::vector<std::string>& warnings) {
  std::vector<std::size_t> group(devices_.size());
  std::iota(group.begin(), group.end(), std::size_t{0});
  const auto cores = [&](std::size_t i) {
    const auto* cpu = dynamic_cast<const CpuDevice*>(devices_[i].get());
    return cpu ? cpu->cores() : std::vector<int>();
  };
  for (std::size_t a = 0; a < devices_.size(); ++a) {
    for (std::size_t b = a + 1; b < devices_.size(); ++b) {
      const auto mine = cores(a), theirs = cores(b);
      if (std::find_first_of(mine.begin(), mine.end(), theirs.begin(), theirs.end()) == mine.end()) continue;
      const std::size_t from = group[b], to = group[a];
      std::replace(group.begin(), group.end(), from, to);
    }
  }
  std::map<std::size_t, std::vector<std::size_t>> members;
  for (std::size_t i = 0; i < group.size(); ++i) members[group[i]].push_back(i);
  turns_.resize(devices_.size());
  std::vector<std::string> sharers;
  for (const auto& [id, list] : members) {
    if (list.size() < 2) continue;
    const auto turn = std::make_shared<CoreTurn>();
    std::vector<std::string> names;
    std::set<int> shared;
    for (const std::size_t i : list) {
      turns_[i] = turn;
      names.push_back(devices_[i]->name());
      for (const int core : cores(i)) shared.insert(core);
    }
    sharers.push_back(fmt::format("{} share core{} {}", fmt::join(names, ", "), shared.size() == 1 ? "" : "s",
                                  fmt::join(shared, ", ")));
  }
  if (!sharers.empty())
    warnings.push_back(
        fmt::format("more cores are asked for than there are ({} here): devices {}; they take turns, and "
                    "waiting counts as contended",
                    load_.size(), fmt::join(sharers, "; ")));
}

std::vector<DeviceResult> DeviceSet::results() const {
  std::vector<DeviceResult> results = results_;
  for (DeviceResult& result : results)
    if (const auto found = index_of_.find(result.name); found != index_of_.end())
      result.memory_bytes = device(found->second).allocated_bytes();
  return results;
}

}  // namespace lenet_flow

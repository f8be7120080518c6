#include "devices/machine.h"

#include <hwloc.h>

#include <algorithm>
#include <fstream>
#include <string>
#include <string_view>

namespace lenet_flow {
namespace {

/// The number in the first line of a file, or `missing` where there is none ("max").
std::uint64_t number_in(const char* path, std::uint64_t missing) {
  std::ifstream file(path);
  std::uint64_t value = 0;
  return file >> value ? value : missing;
}

/// A line of /proc/meminfo, or `missing` where there is none.
std::uint64_t meminfo_bytes(std::string_view name, std::uint64_t missing) {
  std::ifstream file("/proc/meminfo");
  std::uint64_t kibibytes = 0;
  for (std::string word; file >> word;)
    if (word == name && file >> kibibytes) return kibibytes * 1024;
  return missing;
}

struct Bitmap {
  hwloc_bitmap_t set = hwloc_bitmap_alloc();
  ~Bitmap() { hwloc_bitmap_free(set); }
};

}  // namespace

struct Machine::Topology {
  hwloc_topology_t handle = nullptr;
  ~Topology() {
    if (handle) hwloc_topology_destroy(handle);
  }
};

const Machine& Machine::here() {
  static const Machine machine;
  return machine;
}

Machine::~Machine() = default;

Machine::Machine() : topology_(std::make_unique<Topology>()), cpu_model_("unknown CPU") {
  if (hwloc_topology_init(&topology_->handle) != 0 || hwloc_topology_load(topology_->handle) != 0) {
    cores_ = {0};
    return;
  }
  const hwloc_topology_t topology = topology_->handle;
  Bitmap allowed;
  if (hwloc_get_cpubind(topology, allowed.set, HWLOC_CPUBIND_PROCESS) != 0 || hwloc_bitmap_iszero(allowed.set))
    hwloc_bitmap_copy(allowed.set, hwloc_topology_get_allowed_cpuset(topology));
  for (int core = hwloc_bitmap_first(allowed.set); core >= 0; core = hwloc_bitmap_next(allowed.set, core))
    cores_.push_back(core);
  if (cores_.empty()) cores_ = {0};

  const hwloc_obj_t root = hwloc_get_root_obj(topology);
  // hwloc counts the nodes that it knows of, which in containers are not always all.
  memory_bytes_ = std::min(std::max<std::uint64_t>(root->total_memory, meminfo_bytes("MemTotal:", 0)),
                           number_in("/sys/fs/cgroup/memory.max", UINT64_MAX));
  for (const hwloc_obj_t object : {hwloc_get_obj_by_type(topology, HWLOC_OBJ_PACKAGE, 0), root}) {
    const char* model = object ? hwloc_obj_get_info_by_name(object, "CPUModel") : nullptr;
    if (model) {
      cpu_model_ = model;
      break;
    }
  }
  for (const hwloc_obj_type_t type : {HWLOC_OBJ_L1CACHE, HWLOC_OBJ_L2CACHE, HWLOC_OBJ_L3CACHE})
    if (const hwloc_obj_t cache = hwloc_get_obj_by_type(topology, type, 0))
      cache_bytes_.push_back(cache->attr->cache.size);
}

std::uint64_t Machine::available_bytes() {
  const std::uint64_t available = meminfo_bytes("MemAvailable:", UINT64_MAX);
  const std::uint64_t limit = number_in("/sys/fs/cgroup/memory.max", UINT64_MAX);
  if (limit == UINT64_MAX) return available;
  const std::uint64_t used = number_in("/sys/fs/cgroup/memory.current", 0);
  return std::min(available, limit > used ? limit - used : 0);
}

bool Machine::pin_this_thread(const std::vector<int>& cores) const {
  if (!topology_->handle) return false;
  Bitmap set;
  hwloc_bitmap_zero(set.set);
  for (const int core : cores) hwloc_bitmap_set(set.set, static_cast<unsigned>(core));
  return hwloc_set_cpubind(topology_->handle, set.set, HWLOC_CPUBIND_THREAD) == 0;
}

}  // namespace lenet_flow

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "engine/graph/sections.h"

namespace lenet_flow {
namespace {

using Kind = JsonValue::Kind;

constexpr std::size_t most_devices = 1024;
constexpr double most_cores = 4096;  // and the largest number of a core
constexpr double most_gpus = 64;
constexpr double most_bytes = 1e15;

/// "cores": a number of cores, or a list of their numbers.
void read_cores(ObjectReader& object, DeviceEntry& device) {
  const JsonValue* value = object.find("cores");
  if (!value) return;
  const std::string right = "a positive integer or a list of different core numbers, such as [2, 3]";
  if (!value->is(Kind::list)) {
    const auto cores = whole_number(*value);
    if (!cores || *cores < 1) return add_expected(object.problems(), *value, object.field("cores"), right);
    if (static_cast<double>(*cores) > most_cores)
      return add_expected(object.problems(), *value, object.field("cores"), fmt::format("at most {:.0f}", most_cores));
    device.cores = static_cast<int>(*cores);
    return;
  }
  std::vector<int> cores;
  for (const JsonValue& element : value->list) {
    const auto core = whole_number(element);
    const bool good = core && *core >= 0 && static_cast<double>(*core) < most_cores;
    if (!good || cores.size() >= static_cast<std::size_t>(most_cores) ||
        std::find(cores.begin(), cores.end(), static_cast<int>(*core)) != cores.end())
      return add_expected(object.problems(), *value, object.field("cores"), right);
    cores.push_back(static_cast<int>(*core));
  }
  if (cores.empty()) return add_expected(object.problems(), *value, object.field("cores"), right);
  device.cores = static_cast<int>(cores.size());
  device.core_list = cores;
}

void read_otherwise(ObjectReader& object, DeviceEntry& device) {
  const JsonValue* value = object.find("otherwise");
  if (!value) return;
  device.otherwise_cpu = value->is(Kind::string) && value->string == "cpu";
  if (!device.otherwise_cpu)
    add_expected(object.problems(), *value, object.field("otherwise"),
                 "\"cpu\" (a CPU device of one core where there is no such GPU)");
}

DeviceEntry read_device(ObjectReader& object) {
  DeviceEntry device;
  device.where = object.where();
  object.integer("memory_limit", device.memory_limit, 1, most_bytes);
  const JsonValue* kind = object.require("kind", "\"cpu\" or \"cuda\"");
  if (!kind) return device;
  if (kind->is(Kind::string) && kind->string == "cpu") {
    read_cores(object, device);
    device.asked = device.core_list.empty() ? fmt::format("cpu, {} core{}", device.cores, device.cores == 1 ? "" : "s")
                                            : fmt::format("cpu, cores [{}]", fmt::join(device.core_list, ", "));
    object.finish();
  } else if (kind->is(Kind::string) && kind->string == "cuda") {
    device.kind = DeviceKind::cuda;
    object.integer("index", device.index, 0, most_gpus - 1);
    read_otherwise(object, device);
    device.asked = fmt::format("cuda {}", device.index);
    object.finish();
  } else {
    add_expected(object.problems(), *kind, object.field("kind"), "\"cpu\" or \"cuda\"");
  }
  return device;
}

}  // namespace

void read_devices(ObjectReader& root, GraphFile& file) {
  const JsonValue* value = root.require("devices", "an object of devices, such as {\"cpu0\": {\"kind\": \"cpu\"}}");
  if (!value) return;
  Problems& problems = root.problems();
  const ObjectReader devices(problems, *value, "devices");
  if (devices.is_object() && value->members.empty())
    add_expected(problems, *value, "devices", "at least one device, such as {\"cpu0\": {\"kind\": \"cpu\"}}");
  if (value->members.size() > most_devices)
    return problems.add(value->place.location(), "devices",
                        fmt::format("expected at most {} devices, got {}", most_devices, value->members.size()));
  for (const JsonValue::Member& member : value->members) {
    const std::string field = "devices." + printable(member.key);
    if (!is_name(member.key))
      problems.add(member.place.location(), field, fmt::format("expected {}", name_text));
    else if (member.key == "cpu" || member.key == "cuda")
      problems.add(member.place.location(), field,
                   fmt::format("expected another name than that of a kind, such as '{}0'", member.key));
    if (value->find(member.key) != &member.value) continue;  // stands twice: a problem already
    ObjectReader object(problems, member.value, field);
    file.devices.push_back(read_device(object));
    file.devices.back().name = member.key;
    file.devices.back().where = member.place.location();
  }
}

}  // namespace lenet_flow

#include <json/json.h>

#include <cmath>
#include <memory>
#include <stdexcept>

#include "engine/plan/this_machine.h"

namespace lenet_flow {
namespace {

constexpr const char* schema = "lenet-flow.devices/1";

// --- Writing.

template <typename Item, typename ToJson>
Json::Value list_of(const std::vector<Item>& items, ToJson&& to_json) {
  Json::Value list(Json::arrayValue);
  for (const Item& item : items) list.append(to_json(item));
  return list;
}

Json::Value numbers(const std::vector<int>& values) {
  return list_of(values, [](int value) { return Json::Value(value); });
}

/// JSON knows neither NaN nor infinity.
Json::Value number(double value) { return std::isfinite(value) ? Json::Value(value) : Json::Value(); }

Json::Value text_or_null(const std::string& text) { return text.empty() ? Json::Value() : Json::Value(text); }

Json::Value version_or_null(int version) { return version == 0 ? Json::Value() : cuda_version_text(version); }

Json::Value gpu_json(const Gpu& gpu) {
  Json::Value json;
  json["index"] = gpu.index;
  json["name"] = gpu.name;
  json["compute_capability"] = std::to_string(gpu.compute_major) + "." + std::to_string(gpu.compute_minor);
  json["multiprocessors"] = gpu.multiprocessors;
  json["memory_bytes"] = Json::UInt64{gpu.memory_bytes};
  json["free_bytes"] = gpu.free_bytes ? Json::Value(Json::UInt64{*gpu.free_bytes}) : Json::Value();
  json["uuid"] = text_or_null(gpu.uuid);
  json["pci_bus_id"] = text_or_null(gpu.pci_bus_id);
  json["numa_node"] = gpu.numa_node < 0 ? Json::Value() : Json::Value(gpu.numa_node);
  json["cores"] = numbers(gpu.cores);
  json["peers"] = numbers(gpu.peers);
  json["why_unusable"] = text_or_null(gpu.why_unusable);
  return json;
}

Json::Value missing_json(const MissingLibrary& library) {
  Json::Value json;
  json["name"] = library.name;
  json["why"] = library.why;
  json["without"] = library.without;
  return json;
}

Json::Value cpu_measure_json(const CpuMeasure& cpu) {
  Json::Value json;
  json["cores"] = cpu.cores;
  json["flops"] = number(cpu.flops);
  json["copy_bytes_per_second"] = number(cpu.copy_bytes_per_second);
  json["triad_bytes_per_second"] = number(cpu.triad_bytes_per_second);
  return json;
}

Json::Value gpu_measure_json(const GpuMeasure& gpu) {
  Json::Value json;
  json["gpu"] = gpu.gpu;
  json["flops"] = number(gpu.flops);
  json["copy_bytes_per_second"] = number(gpu.copy_bytes_per_second);
  json["launch_seconds"] = number(gpu.launch_seconds);
  json["launch_to_done_seconds"] = number(gpu.launch_to_done_seconds);
  json["graph_launch_seconds"] = number(gpu.graph_launch_seconds);
  json["graph_to_done_seconds"] = number(gpu.graph_to_done_seconds);
  return json;
}

Json::Value link_json(const LinkMeasure& link) {
  Json::Value json;
  json["from"] = link.from;
  json["to"] = link.to;
  json["way"] = link.way;
  json["latency_seconds"] = number(link.latency_seconds);
  json["rates"] = list_of(link.rates, [](const SizedRate& rate) {
    Json::Value sized;
    sized["bytes"] = Json::UInt64{rate.bytes};
    sized["bytes_per_second"] = number(rate.bytes_per_second);
    return sized;
  });
  json["both_bytes_per_second"] = number(link.both_bytes_per_second);
  return json;
}

Json::Value measures_json(const Measures& measures) {
  Json::Value json;
  json["cpus"] = list_of(measures.cpus, cpu_measure_json);
  json["gpus"] = list_of(measures.gpus, gpu_measure_json);
  json["links"] = list_of(measures.links, link_json);
  return json;
}

// --- Reading. All throw std::runtime_error.

const Json::Value& field(const Json::Value& object, const char* name) {
  if (!object.isObject() || !object.isMember(name))
    throw std::runtime_error(std::string("field '") + name + "' is missing");
  return object[name];
}

/// A measured rate or time.
double positive(const Json::Value& object, const char* name) {
  const Json::Value& value = field(object, name);
  if (!value.isNumeric() || !std::isfinite(value.asDouble()) || value.asDouble() <= 0)
    throw std::runtime_error(std::string("field '") + name + "' is no number greater than 0");
  return value.asDouble();
}

int count(const Json::Value& object, const char* name, int least) {
  const Json::Value& value = field(object, name);
  if (!value.isInt() || value.asInt() < least)
    throw std::runtime_error(std::string("field '") + name + "' is no whole number from " + std::to_string(least));
  return value.asInt();
}

std::string text(const Json::Value& object, const char* name) {
  const Json::Value& value = field(object, name);
  if (!value.isString()) throw std::runtime_error(std::string("field '") + name + "' is no text");
  return value.asString();
}

template <typename FromJson>
auto list_from(const Json::Value& object, const char* name, FromJson&& from_json) {
  const Json::Value& list = field(object, name);
  if (!list.isArray()) throw std::runtime_error(std::string("field '") + name + "' is no list");
  std::vector<decltype(from_json(list))> items;
  for (const Json::Value& item : list) items.push_back(from_json(item));
  return items;
}

CpuMeasure read_cpu(const Json::Value& json) {
  return {count(json, "cores", 1), positive(json, "flops"), positive(json, "copy_bytes_per_second"),
          positive(json, "triad_bytes_per_second")};
}

GpuMeasure read_gpu(const Json::Value& json) {
  return {count(json, "gpu", 0),
          positive(json, "flops"),
          positive(json, "copy_bytes_per_second"),
          positive(json, "launch_seconds"),
          positive(json, "launch_to_done_seconds"),
          positive(json, "graph_launch_seconds"),
          positive(json, "graph_to_done_seconds")};
}

LinkMeasure read_link(const Json::Value& json) {
  LinkMeasure link{text(json, "from"),
                   text(json, "to"),
                   text(json, "way"),
                   positive(json, "latency_seconds"),
                   {},
                   positive(json, "both_bytes_per_second")};
  link.rates = list_from(json, "rates", [](const Json::Value& rate) {
    return SizedRate{static_cast<std::uint64_t>(count(rate, "bytes", 1)), positive(rate, "bytes_per_second")};
  });
  return link;
}

}  // namespace

std::string machine_json(const ThisMachine& machine) {
  Json::Value json;
  json["schema"] = schema;
  json["version"] = machine.version;
  json["key"] = machine_key(machine);
  json["cpu"]["model"] = machine.cpu_model;
  json["cpu"]["cores"] = numbers(machine.cores);
  json["cpu"]["cache_bytes"] =
      list_of(machine.cache_bytes, [](std::uint64_t bytes) { return Json::Value(Json::UInt64{bytes}); });
  json["cpu"]["memory_bytes"] = Json::UInt64{machine.memory_bytes};
  json["cpu"]["available_bytes"] = Json::UInt64{machine.available_bytes};
  json["gpus"] = list_of(machine.gpus.gpus, gpu_json);
  json["gpus_why"] = text_or_null(machine.gpus.why_none);
  json["driver"] = text_or_null(machine.gpus.driver);
  json["driver_cuda"] = version_or_null(machine.gpus.driver_version);
  json["program_cuda"] = version_or_null(machine.gpus.runtime_version);
  json["missing"] = list_of(machine.missing, missing_json);
  json["measured"] = machine.measures ? measures_json(*machine.measures) : Json::Value();
  Json::StreamWriterBuilder builder;
  builder["indentation"] = "  ";
  builder["emitUTF8"] = true;
  builder["enableYAMLCompatibility"] = true;  // "key": value
  builder["precision"] = 17;                  // a double comes back as it was
  return Json::writeString(builder, json) + "\n";
}

Measures read_measures(std::string_view json_text, const std::string& key) {
  Json::CharReaderBuilder builder;
  Json::CharReaderBuilder::strictMode(&builder.settings_);
  const std::unique_ptr<Json::CharReader> reader(builder.newCharReader());
  Json::Value json;
  try {
    if (!reader->parse(json_text.data(), json_text.data() + json_text.size(), &json, nullptr))
      throw std::runtime_error("is not whole JSON");
  } catch (const Json::Exception&) {  // nested too deeply
    throw std::runtime_error("is not whole JSON");
  }
  if (text(json, "schema") != schema) throw std::runtime_error(std::string("is not of schema ") + schema);
  if (text(json, "key") != key) throw std::runtime_error("is of another machine");
  const Json::Value& measured = field(json, "measured");
  return {list_from(measured, "cpus", read_cpu), list_from(measured, "gpus", read_gpu),
          list_from(measured, "links", read_link)};
}

}  // namespace lenet_flow

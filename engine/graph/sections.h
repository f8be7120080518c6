#pragma once

#include <iterator>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/graph/graph_file.h"
#include "engine/graph/object_reader.h"

namespace lenet_flow {

/// The sections of a graph file. Each reads its part of `root`, adds a problem for everything that is wrong in it and
/// writes what is right into `file`. In this order: layers look at devices, the pipeline at both and at the batch.
void read_devices(ObjectReader& root, GraphFile& file);
void read_data(ObjectReader& root, GraphFile& file);
void read_layers(ObjectReader& root, GraphFile& file);
void read_loss(ObjectReader& root, GraphFile& file);
void read_training(ObjectReader& root, GraphFile& file);
/// Also gives layers that name no device that of their stage.
void read_pipeline(ObjectReader& root, GraphFile& file);

/// One field of "costs" of a stage.
struct StageCost {
  const char* key;
  const char* help;
  std::optional<double> StageCostsEntry::*member;
};
std::span<const StageCost> stage_costs();
inline constexpr double most_microseconds = 1e9;

/// Checks that every layer has a device, the file's only one where it names none.
void check_layer_devices(GraphFile& file, Problems& problems);

/// The names of a file's things, for suggestions.
template <typename Entries>
std::vector<std::string> names_of(const Entries& entries) {
  std::vector<std::string> names;
  names.reserve(std::size(entries));
  for (const auto& entry : entries) names.push_back(entry.name);
  return names;
}

/// The type of `types` that the object's "type" names (`standard` where it has none and `standard` is not empty), or
/// null: then what is wrong is a problem. `what`: "loss", "layer type".
template <typename Types>
auto read_type(ObjectReader& object, const Types& types, const std::string& what, const std::string& standard = "")
    -> decltype(&*std::begin(types)) {
  const std::vector<std::string> names = names_of(types);
  std::string name = standard;
  const JsonValue* value = object.find("type");
  if (!value && standard.empty() && object.is_object()) {
    std::string known;
    for (const std::string& each : names) known += (known.empty() ? "" : ", ") + each;
    object.problems().add(object.where(), object.field("type"), "missing; expected one of: " + known);
  }
  if (!value && standard.empty()) return nullptr;
  if (value) object.string("type", name);
  if (value && !value->is(JsonValue::Kind::string)) return nullptr;
  for (const auto& type : types)
    if (type.name == name) return &type;
  object.problems().add(object.where("type"), object.field("type"),
                        "unknown " + what + " " + with_suggestion(name, names));
  return nullptr;
}

/// Reads an object that has a type and that type's attributes, and nothing else.
template <typename Types>
TypedEntry read_typed_entry(Problems& problems, const JsonValue& value, const std::string& field, const Types& types,
                            const std::string& what, const std::string& standard = "") {
  ObjectReader object(problems, value, field);
  TypedEntry entry;
  entry.where = object.where();
  if (const auto* type = read_type(object, types, what, standard)) {
    entry.type = type->name;
    entry.attributes = object.attributes(type->attributes);
    object.finish();
  }
  return entry;
}

/// A type's attributes at their defaults.
template <typename Type>
TypedEntry standard_entry(const Type& type) {
  TypedEntry entry;
  entry.type = type.name;
  for (const AttributeSpec& spec : type.attributes) entry.attributes.set(spec.name, spec.default_value);
  return entry;
}

}  // namespace lenet_flow

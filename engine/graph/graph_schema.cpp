#include <json/json.h>

#include "engine/graph/graph_file.h"
#include "engine/graph/sections.h"
#include "engine/schedule/schedule.h"

namespace lenet_flow {
namespace {

using Json::Value;

/// Bounds wider than this are no help to somebody who types.
constexpr double no_bound = 1e15;

Value described(std::string_view help) {
  Value schema(Json::objectValue);
  if (!help.empty()) schema["description"] = std::string(help);
  return schema;
}

Value of_type(const char* type, std::string_view help = "") {
  Value schema = described(help);
  schema["type"] = type;
  return schema;
}

/// A whole number as such, so that it is written without ".0".
Value number(double value) {
  if (value == static_cast<double>(static_cast<Json::Int64>(value))) return static_cast<Json::Int64>(value);
  return value;
}

Value bounded(const char* type, const AttributeSpec& spec) {
  Value schema = of_type(type);
  if (spec.minimum > -no_bound) schema[spec.open_minimum ? "exclusiveMinimum" : "minimum"] = number(spec.minimum);
  if (spec.maximum < no_bound) schema[spec.open_maximum ? "exclusiveMaximum" : "maximum"] = number(spec.maximum);
  return schema;
}

Value list_of(const Value& items, int minimum, int maximum = 0) {
  Value schema = of_type("array");
  schema["items"] = items;
  schema["minItems"] = minimum;
  if (maximum > 0) schema["maxItems"] = maximum;
  return schema;
}

Value any_of(std::initializer_list<Value> choices) {
  Value schema(Json::objectValue);
  for (const Value& choice : choices) schema["anyOf"].append(choice);
  return schema;
}

Value one_of_names(const std::vector<std::string>& names, std::string_view help = "") {
  Value schema = described(help);
  for (const std::string& name : names) schema["enum"].append(name);
  return schema;
}

Value constant(const std::string& value) {
  Value schema(Json::objectValue);
  schema["const"] = value;
  return schema;
}

Value default_of(const AttributeValue& value) {
  struct Visitor {
    Value operator()(std::monostate) const { return Value::nullSingleton(); }
    Value operator()(std::int64_t whole) const { return static_cast<Json::Int64>(whole); }
    Value operator()(double real) const { return number(real); }
    Value operator()(bool truth) const { return truth; }
    Value operator()(const Extent& extent) const {
      if (extent.height == extent.width) return static_cast<Json::Int64>(extent.height);
      Value pair(Json::arrayValue);
      pair.append(static_cast<Json::Int64>(extent.height));
      pair.append(static_cast<Json::Int64>(extent.width));
      return pair;
    }
    Value operator()(const Padding& padding) const {
      if (padding.rule == Padding::Rule::same) return "same";
      if (padding.rule == Padding::Rule::valid) return "valid";
      return (*this)(padding.extent);
    }
    Value operator()(const std::string& text) const { return text; }
    Value operator()(const std::vector<double>& numbers) const {
      Value list(Json::arrayValue);
      for (const double each : numbers) list.append(number(each));
      return list;
    }
  };
  return std::visit(Visitor{}, value);
}

Value attribute_schema(const AttributeSpec& spec) {
  Value schema;
  const Value whole = bounded("integer", spec);
  const Value pair = list_of(whole, 2, 2);
  switch (spec.kind) {
    case AttributeKind::integer: schema = whole; break;
    case AttributeKind::number: schema = bounded("number", spec); break;
    case AttributeKind::boolean: schema = of_type("boolean"); break;
    case AttributeKind::extent: schema = any_of({whole, pair}); break;
    case AttributeKind::padding: schema = any_of({whole, pair, one_of_names({"same", "valid"})}); break;
    case AttributeKind::choice: schema = one_of_names(spec.choices); break;
    case AttributeKind::numbers:
      schema =
          any_of({bounded("number", spec), list_of(bounded("number", spec), 1, static_cast<int>(maximum_numbers))});
      break;
  }
  if (!spec.help.empty()) schema["description"] = spec.help;
  // A default outside the range stands for something that no file can write ("as large as the kernel").
  const Extent* extent = std::get_if<Extent>(&spec.default_value);
  const bool writable = !extent || static_cast<double>(extent->height) >= spec.minimum;
  if (writable && !std::holds_alternative<std::monostate>(spec.default_value))
    schema["default"] = default_of(spec.default_value);
  return schema;
}

/// An object with these fields and no others.
Value closed_object(const Value& properties, const std::vector<std::string>& required, std::string_view help = "") {
  Value schema = of_type("object", help);
  schema["properties"] = properties;
  schema["additionalProperties"] = false;
  for (const std::string& key : required) schema["required"].append(key);
  return schema;
}

/// One of the registered types: each an object of its own, told apart by "type". `shared`: fields of all of them.
template <typename Types>
Value typed_object(const Types& types, std::string_view help, const std::string& standard = "",
                   const Value& shared = Value(Json::objectValue), const std::vector<std::string>& required = {}) {
  Value schema = described(help);
  for (const auto& type : types) {
    Value properties = shared;
    properties["type"] = constant(type.name);
    properties["type"]["description"] = type.help;
    std::vector<std::string> needed = required;
    if (type.name != standard) needed.emplace_back("type");
    for (const AttributeSpec& spec : type.attributes) {
      properties[spec.name] = attribute_schema(spec);
      if (std::holds_alternative<std::monostate>(spec.default_value)) needed.push_back(spec.name);
    }
    schema["oneOf"].append(closed_object(properties, needed));
  }
  return schema;
}

Value whole_number_from(int minimum, std::string_view help) {
  Value schema = of_type("integer", help);
  schema["minimum"] = minimum;
  return schema;
}

Value name_schema(std::string_view help) {
  Value schema = of_type("string", help);
  schema["pattern"] = "^[A-Za-z0-9_-]+(\\.[A-Za-z0-9_-]+)*$";
  schema["maxLength"] = 100;
  return schema;
}

Value devices_schema() {
  Value cpu(Json::objectValue), cuda(Json::objectValue);
  cpu["kind"] = constant("cpu");
  cpu["cores"] = any_of({whole_number_from(1, "a number of cores"), list_of(whole_number_from(0, ""), 1)});
  cpu["cores"]["description"] = "a number of cores, or a list of their numbers";
  cpu["cores"]["default"] = 1;
  for (Value* kind : {&cpu, &cuda}) (*kind)["memory_limit"] = whole_number_from(1, "bytes that a run may hold there");
  cuda["kind"] = constant("cuda");
  cuda["index"] = whole_number_from(0, "which GPU");
  cuda["index"]["default"] = 0;
  cuda["otherwise"] = constant("cpu");
  cuda["otherwise"]["description"] = "where there is no such GPU: a CPU device of one core in its place";
  Value device(Json::objectValue);
  device["oneOf"].append(closed_object(cpu, {"kind"}, "a set of CPU cores"));
  device["oneOf"].append(closed_object(cuda, {"kind"}, "one NVIDIA GPU"));
  Value schema = of_type("object", "what runs the layers, by name");
  schema["additionalProperties"] = device;
  schema["minProperties"] = 1;
  return schema;
}

Value layers_schema() {
  Value shared(Json::objectValue);
  shared["name"] = name_schema("unique; the first part of its parameters' names");
  shared["device"] = of_type("string", "which of \"devices\" runs it; a file with one device needs none");
  shared["split"] = list_of(of_type("string"), 2);
  shared["split"]["description"] = "conv2d and dense: the devices that share the output channels, a part each";
  shared["after"] = any_of({of_type("string"), list_of(of_type("string"), 1)});
  shared["after"]["description"] = "whose output it reads, \"input\" for the network's; default: the layer before";
  Value schema = list_of(typed_object(layer_types(), "one layer", "", shared, {"name"}), 1);
  schema["description"] = "the network, any acyclic graph";
  return schema;
}

Value data_schema() {
  Value properties(Json::objectValue);
  properties["set"] =
      of_type("string", "a known set (mnist, fashion-mnist, cifar10, digits), or a folder under --data");
  properties["shuffle"] = of_type("boolean", "a new order every epoch");
  properties["shuffle"]["default"] = true;
  properties["preprocess"] = list_of(typed_object(preprocess_types(), "one step"), 0);
  properties["preprocess"]["description"] =
      "what every image goes through, in order; readers give 0..255; default: scale by 1/255";
  properties["augment"] = list_of(typed_object(augment_types(), "one step"), 0);
  properties["augment"]["description"] = "what training images go through after that, at random";
  return closed_object(properties, {"set"}, "where images come from and what becomes of them");
}

Value training_schema() {
  Value properties(Json::objectValue);
  properties["mode"] = one_of_names({"train", "infer"}, "infer: forward only");
  properties["mode"]["default"] = "train";
  properties["epochs"] = whole_number_from(1, "times through the training images");
  properties["epochs"]["default"] = 10;
  properties["batch"] = whole_number_from(1, "images between two updates of the parameters");
  properties["batch"]["default"] = 64;
  properties["seed"] = whole_number_from(0, "of every random number");
  properties["seed"]["default"] = 1;
  properties["optimizer"] = typed_object(optimizer_types(), "how gradients change parameters", "sgd");
  properties["schedule"] = typed_object(learning_rate_types(), "how the learning rate changes", "constant");
  return closed_object(properties, {}, "how it learns");
}

Value pipeline_schema() {
  Value stage(Json::objectValue);
  stage["name"] = name_schema("default: after its first and last layer");
  stage["layers"] = list_of(of_type("string"), 1);
  stage["devices"] = list_of(of_type("string"), 1);
  stage["devices"]["description"] = "one replica a device";
  stage["recompute"] =
      of_type("boolean", "keep only the stage's input, and compute its activations anew for its backward");
  Value costs(Json::objectValue);
  for (const StageCost& cost : stage_costs()) {
    costs[cost.key] = of_type("number", cost.help);
    costs[cost.key]["minimum"] = 0;
    costs[cost.key]["maximum"] = number(most_microseconds);
  }
  stage["costs"] = closed_object(costs, {}, "for schedule auto, in microseconds; what is left out is measured");
  Value properties(Json::objectValue);
  Value& schedule = properties["schedule"] = described("the order of actions");
  const auto add_schedule = [&](const ScheduleType& type) {
    Value choice = constant(type.name);
    choice["description"] = type.help;
    schedule["oneOf"].append(choice);
  };
  for (const ScheduleType& type : schedule_types()) add_schedule(type);
  add_schedule(*find_schedule_type("custom"));
  schedule["default"] = PipelineEntry{}.schedule;
  properties["micro_batch"] = whole_number_from(1, "images that stream together; default: the batch");
  properties["in_flight"] = whole_number_from(1, "micro-batches admitted at a time; default: what the schedule needs");
  properties["link_capacity"] = whole_number_from(1, "micro-batches that a link holds; default: in_flight");
  properties["flush"] = of_type("boolean", "finish a batch before the next one's parameters are used");
  properties["flush"]["default"] = true;
  properties["weight_versions"] =
      one_of_names({"stashing", "double_buffered"}, "without flush: which parameters a micro-batch reads");
  properties["schedule_file"] =
      of_type("string", "of schedule custom: a CSV file, as 'check --schedule-out' writes it");
  properties["watchdog_seconds"] = of_type(
      "number", "a run in which nothing moves for so long ends; default: 10 times the slowest action, at least 1");
  properties["inject"] = list_of(of_type("string"), 0);
  properties["inject"]["description"] =
      "delays made on purpose, as after --inject: \"conv2=+200us\", \"cpu1=x1.5\", \"link:conv1->fc=+50us,1GB/s\"";
  properties["stages"] = list_of(closed_object(stage, {"layers"}), 1);
  properties["stages"]["description"] = "cuts by hand; default: cut where the device changes";
  return closed_object(properties, {}, "how it runs on the devices");
}

/// jsoncpp puts a bracket on a line of its own, behind a line that ends in a blank; this puts both on one line.
std::string with_joined_brackets(const std::string& text) {
  static constexpr std::string_view line_end = ": \n";
  std::string joined;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = text.find(line_end, at);
    if (end == std::string::npos) return joined + text.substr(at);
    joined += text.substr(at, end - at) + ": ";
    at = text.find_first_not_of(' ', end + line_end.size());
  }
  return joined;
}

}  // namespace

std::string graph_schema() {
  Value properties(Json::objectValue);
  properties["$schema"] = of_type("string", "where editors find this schema");
  properties["version"] = described("of this form of file");
  properties["version"]["const"] = 1;
  properties["name"] = of_type("string", "default: the file's name");
  properties["devices"] = devices_schema();
  properties["data"] = data_schema();
  properties["layers"] = layers_schema();
  properties["loss"] = typed_object(loss_types(), "what training makes small");
  properties["training"] = training_schema();
  properties["pipeline"] = pipeline_schema();
  Value schema = closed_object(properties, {"version", "devices", "data", "layers", "loss"}, "lenet-flow graph file");
  schema["$schema"] = "http://json-schema.org/draft-07/schema#";
  schema["title"] = "lenet-flow graph file, version 1";
  schema["allowComments"] = true;
  schema["allowTrailingCommas"] = true;
  Json::StreamWriterBuilder writer;
  writer["indentation"] = "  ";
  writer["precision"] = 15;
  writer["enableYAMLCompatibility"] = true;
  return with_joined_brackets(Json::writeString(writer, schema)) + "\n";
}

}  // namespace lenet_flow

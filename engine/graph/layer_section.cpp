#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

#include "engine/graph/sections.h"

namespace lenet_flow {
namespace {

using Kind = JsonValue::Kind;

constexpr std::size_t most_layers = 100'000;
constexpr const char* input_name = "input";

/// One layer of the list being read, with what is looked at once all names are known.
struct Draft {
  const JsonValue* after = nullptr;
  std::string field;
};

/// Reads "layers": first each by itself, then what they say of one another.
class LayerSection {
 public:
  LayerSection(Problems& problems, GraphFile& file) : problems_(problems), file_(file) {
    for (const DeviceEntry& device : file.devices) device_names_.push_back(device.name);
  }

  void read(const std::vector<JsonValue>& list) {
    file_.layers.reserve(list.size());
    for (std::size_t i = 0; i < list.size(); ++i) read_layer(list[i], i);
    for (const LayerEntry& layer : file_.layers) names_.push_back(layer.name);
    names_.emplace_back(input_name);
    for (std::size_t i = 0; i < file_.layers.size(); ++i) read_after(i);
  }

 private:
  void read_layer(const JsonValue& value, std::size_t index) {
    const JsonValue* name = value.find("name");
    const bool named = name && name->is(Kind::string) && is_name(name->string);
    Draft draft{nullptr, named ? "layers." + name->string : fmt::format("layers[{}]", index)};
    ObjectReader object(problems_, value, draft.field);
    LayerEntry layer;
    layer.where = object.where();
    layer.where_after = object.where("after");
    draft.after = object.find("after");
    if (object.require("name", name_text)) object.name("name", layer.name);
    check_name(object, layer.name, index);
    layer.type = read_type(object, layer_types(), "layer type");
    read_device(object, layer);
    const JsonValue* split = object.find("split");
    if (layer.type) {
      layer.attributes = object.attributes(layer.type->attributes);
      if (split) read_split(object, *split, layer);
      object.finish();
    }
    file_.layers.push_back(std::move(layer));
    drafts_.push_back(std::move(draft));
  }

  void check_name(const ObjectReader& object, const std::string& name, std::size_t index) {
    if (name.empty()) return;
    if (name == input_name)
      problems_.add(object.where("name"), object.field("name"),
                    "expected another name; 'input' is the network's input");
    const auto [first, is_new] = index_of_.emplace(name, index);
    if (is_new) return;
    const SourceLocation& before = file_.layers[first->second].where;
    problems_.add(
        object.where("name"), object.field("name"),
        fmt::format("duplicate name '{}'; the layer at {}:{} has it already", name, before.line, before.column));
  }

  void read_device(ObjectReader& object, LayerEntry& layer) {
    object.string("device", layer.device);
    if (layer.device.empty() || device_names_.empty() ||
        std::find(device_names_.begin(), device_names_.end(), layer.device) != device_names_.end())
      return;
    problems_.add(object.where("device"), object.field("device"),
                  problems_.full() ? "" : "unknown device " + with_suggestion(layer.device, device_names_));
  }

  /// "split": the devices that share a layer's output channels.
  void read_split(const ObjectReader& object, const JsonValue& value, LayerEntry& layer) {
    const std::string right = "a list of two or more different devices' names", field = object.field("split");
    const std::string channels = split_attribute(*layer.type);
    if (channels.empty())
      return problems_.add(value.place.location(), field,
                           fmt::format("only layers of type conv2d and dense can be split, not {}", layer.type->name));
    if (!value.is(Kind::list) || value.list.size() < 2) return add_expected(problems_, value, field, right);
    for (const JsonValue& element : value.list) {
      if (!element.is(Kind::string) ||
          std::find(layer.split.begin(), layer.split.end(), element.string) != layer.split.end())
        return add_expected(problems_, element, field, right);
      if (std::find(device_names_.begin(), device_names_.end(), element.string) == device_names_.end())
        return problems_.add(element.place.location(), field,
                             "unknown device " + with_suggestion(element.string, device_names_));
      layer.split.push_back(element.string);
    }
    if (layer.device.empty()) layer.device = layer.split.front();
    if (!layer.attributes.has(channels)) return;
    if (layer.attributes.integer(channels) < static_cast<std::int64_t>(layer.split.size()))
      problems_.add(value.place.location(), field,
                    fmt::format("expected at most as many devices as {}, which is {}, got {}", channels,
                                layer.attributes.integer(channels), layer.split.size()));
    if (layer.attributes.has("groups") && layer.attributes.integer("groups") != 1)
      problems_.add(value.place.location(), field, "a layer with groups cannot be split; expected groups 1");
  }

  void read_after(std::size_t index) {
    LayerEntry& layer = file_.layers[index];
    const Draft& draft = drafts_[index];
    const std::string field = draft.field + ".after";
    if (!draft.after) {
      layer.after = {index == 0 ? input_name : file_.layers[index - 1].name};
    } else if (draft.after->is(Kind::list) && !draft.after->list.empty()) {
      for (const JsonValue& element : draft.after->list) read_producer(layer, element, field);
    } else if (draft.after->is(Kind::list)) {
      add_expected(problems_, *draft.after, field,
                   "a layer's name or a list of names, \"input\" for the network's input");
    } else {
      read_producer(layer, *draft.after, field);
    }
    if (layer.type) check_count(layer, field);
  }

  void read_producer(LayerEntry& layer, const JsonValue& value, const std::string& field) {
    if (!value.is(Kind::string))
      return add_expected(problems_, value, field,
                          "a layer's name or a list of names, \"input\" for the network's input");
    layer.after.push_back(value.string);
    if (value.string == input_name || index_of_.contains(value.string)) return;
    problems_.add(value.place.location(), field,
                  problems_.full() ? "" : "unknown layer " + with_suggestion(value.string, names_));
  }

  void check_count(const LayerEntry& layer, const std::string& field) {
    const int count = static_cast<int>(layer.after.size());
    const LayerType& type = *layer.type;
    if (count == 0 || (count >= type.minimum_inputs && count <= type.maximum_inputs)) return;
    const std::string right = type.minimum_inputs == type.maximum_inputs
                                  ? fmt::format("{} name{}", type.minimum_inputs, type.minimum_inputs == 1 ? "" : "s")
                              : count < type.minimum_inputs ? fmt::format("{} or more names", type.minimum_inputs)
                                                            : fmt::format("at most {} names", type.maximum_inputs);
    problems_.add(layer.where_after, field,
                  fmt::format("expected {} for a layer of type {}, got {}", right, type.name, count));
  }

  Problems& problems_;
  GraphFile& file_;
  std::vector<std::string> device_names_, names_;
  std::vector<Draft> drafts_;
  std::unordered_map<std::string, std::size_t> index_of_;
};

}  // namespace

void read_layers(ObjectReader& root, GraphFile& file) {
  const std::string right = "a list of layers: [ {\"name\": ..., \"type\": ...}, ... ]";
  const JsonValue* value = root.require("layers", right);
  const std::vector<JsonValue>* list = root.list("layers", right);
  if (!list) return;
  if (list->empty()) return add_expected(root.problems(), *value, "layers", "at least one layer");
  if (list->size() > most_layers)
    return root.problems().add(value->place.location(), "layers",
                               fmt::format("expected at most {} layers, got {}", most_layers, list->size()));
  LayerSection(root.problems(), file).read(*list);
}

std::string split_attribute(const LayerType& type) {
  return type.name == "conv2d" ? "out_channels" : type.name == "dense" ? "out_features" : "";
}

void check_layer_devices(GraphFile& file, Problems& problems) {
  if (file.devices.empty()) return;
  for (LayerEntry& layer : file.layers) {
    if (!layer.device.empty()) continue;
    if (file.devices.size() == 1)
      layer.device = file.devices[0].name;
    else
      problems.add(layer.where, fmt::format("layers.{}.device", layer.name),
                   "missing; expected the name of a device (a file with one device needs none)");
  }
}

}  // namespace lenet_flow

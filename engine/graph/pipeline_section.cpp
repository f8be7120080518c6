#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

#include "engine/graph/sections.h"
#include "engine/schedule/schedule.h"

namespace lenet_flow {
namespace {

using Kind = JsonValue::Kind;

constexpr double most_micro_batches = 1 << 20;

/// Reads "pipeline.stages": a cut by hand.
class StageSection {
 public:
  StageSection(Problems& problems, GraphFile& file) : problems_(problems), file_(file) {
    for (std::size_t i = 0; i < file.layers.size(); ++i) layer_of_.emplace(file.layers[i].name, i);
  }

  void read(const std::vector<JsonValue>& list) {
    for (std::size_t i = 0; i < list.size(); ++i) {
      const JsonValue* name = list[i].find("name");
      const bool named = name && name->is(Kind::string) && is_name(name->string);
      ObjectReader object(problems_, list[i],
                          named ? "pipeline.stages." + name->string : fmt::format("pipeline.stages[{}]", i));
      read_stage(object);
    }
  }

 private:
  void read_stage(ObjectReader& object) {
    StageEntry stage;
    stage.where = object.where();
    object.name("name", stage.name);
    if (!stage.name.empty()) {
      const auto [first, is_new] = where_named_.emplace(stage.name, object.where("name"));
      if (!is_new)
        problems_.add(object.where("name"), object.field("name"),
                      fmt::format("duplicate name '{}'; the stage at {}:{} has it already", stage.name,
                                  first->second.line, first->second.column));
    }
    read_layers_of(object, stage);
    read_devices_of(object, stage);
    object.boolean("recompute", stage.recompute);
    if (const JsonValue* costs = object.find("costs")) read_costs(*costs, object.field("costs"), stage.costs);
    object.finish();
    file_.pipeline.stages.push_back(std::move(stage));
  }

  void read_costs(const JsonValue& value, const std::string& field, StageCostsEntry& costs) {
    ObjectReader object(problems_, value, field);
    for (const StageCost& cost : stage_costs()) {
      if (!object.find(cost.key)) continue;
      double microseconds = 0;
      object.number(cost.key, microseconds, 0, most_microseconds);
      costs.*cost.member = microseconds;
    }
    object.finish();
  }

  void read_layers_of(ObjectReader& object, StageEntry& stage) {
    const std::string right = "a list of the names of layers";
    const std::string field = object.field("layers");
    const JsonValue* value = object.require("layers", right);
    const std::vector<JsonValue>* list = object.list("layers", right);
    if (!list) return;
    if (list->empty()) return add_expected(problems_, *value, field, "at least one layer's name");
    for (const JsonValue& element : *list) {
      if (!element.is(Kind::string)) {
        add_expected(problems_, element, field, "a layer's name");
      } else if (!layer_of_.contains(element.string)) {
        problems_.add(
            element.place.location(), field,
            problems_.full() ? "" : "unknown layer " + with_suggestion(element.string, names_of(file_.layers)));
      } else if (const auto [first, is_new] = where_cut_.emplace(element.string, object.field()); !is_new) {
        problems_.add(element.place.location(), field,
                      fmt::format("layer '{}' has a stage already: {}", element.string, first->second));
      } else {
        stage.layers.push_back(element.string);
      }
    }
  }

  /// "devices" of a stage: one replica a device. Its layers take the first over, or name it too.
  void read_devices_of(ObjectReader& object, StageEntry& stage) {
    const std::string right = "a list of different devices' names, one a replica", field = object.field("devices");
    const std::vector<JsonValue>* list = object.list("devices", right);
    if (!list) return;
    if (list->empty()) return add_expected(problems_, *object.find("devices"), field, right);
    const std::vector<std::string> names = names_of(file_.devices);
    for (const JsonValue& element : *list) {
      const bool named = element.is(Kind::string);
      const auto& chosen = stage.devices;
      if (!named || std::find(chosen.begin(), chosen.end(), element.string) != chosen.end())
        return add_expected(problems_, element, field, right);
      if (std::find(names.begin(), names.end(), element.string) == names.end())
        return problems_.add(element.place.location(), field,
                             "unknown device " + with_suggestion(element.string, names));
      stage.devices.push_back(element.string);
    }
    const std::string& device = stage.devices.front();
    for (const std::string& name : stage.layers) {
      LayerEntry& layer = file_.layers[layer_of_.at(name)];
      if (layer.device.empty()) layer.device = device;
      if (layer.device != device)
        problems_.add(list->front().place.location(), field,
                      fmt::format("expected the device of its layers first; layer '{}' is on '{}', not on '{}'", name,
                                  layer.device, device));
    }
  }

  Problems& problems_;
  GraphFile& file_;
  std::unordered_map<std::string, std::size_t> layer_of_;
  std::unordered_map<std::string, SourceLocation> where_named_;
  std::unordered_map<std::string, std::string> where_cut_;  ///< layer -> "pipeline.stages.conv"
};

void read_schedule(ObjectReader& pipeline, PipelineEntry& entry) {
  pipeline.string("schedule", entry.schedule);
  entry.where_schedule = pipeline.where("schedule");
  std::vector<std::string> names = schedule_names();
  names.push_back("custom");
  if (std::find(names.begin(), names.end(), entry.schedule) == names.end())
    pipeline.problems().add(entry.where_schedule, pipeline.field("schedule"),
                            "unknown schedule " + with_suggestion(entry.schedule, names));
}

void read_micro_batch(ObjectReader& pipeline, GraphFile& file) {
  PipelineEntry& entry = file.pipeline;
  entry.where_micro_batch = pipeline.where("micro_batch");
  pipeline.integer("micro_batch", entry.micro_batch, 1, most_micro_batches);
  if (entry.micro_batch > file.training.batch)
    pipeline.problems().add(
        entry.where_micro_batch, pipeline.field("micro_batch"),
        fmt::format("expected at most training.batch, which is {}, got {}", file.training.batch, entry.micro_batch));
}

/// "flush" and, where it is false, "weight_versions".
void read_flush(ObjectReader& pipeline, PipelineEntry& entry) {
  bool flush = true;
  pipeline.boolean("flush", flush);
  const JsonValue* versions = pipeline.find("weight_versions");
  entry.flush = flush ? Flush::every_batch : Flush::stashing;
  if (!versions) return;
  if (versions->is(Kind::string) && versions->string == "double_buffered")
    entry.flush = Flush::double_buffered;
  else if (!versions->is(Kind::string) || versions->string != "stashing")
    return add_expected(pipeline.problems(), *versions, pipeline.field("weight_versions"),
                        "\"stashing\" or \"double_buffered\"");
  if (flush)
    pipeline.problems().add(pipeline.where("weight_versions"), pipeline.field("weight_versions"),
                            "expected \"flush\": false beside it; with flush there is one version");
}

/// The file of schedule `custom`.
void read_schedule_file(ObjectReader& pipeline, PipelineEntry& entry) {
  pipeline.string("schedule_file", entry.schedule_file);
  if (entry.schedule == "custom" && entry.schedule_file.empty())
    pipeline.problems().add(entry.where_schedule, pipeline.field("schedule_file"),
                            "missing; schedule 'custom' expects the name of a CSV file, as 'check --schedule-out' "
                            "writes it");
  if (entry.schedule != "custom" && !entry.schedule_file.empty())
    pipeline.problems().add(pipeline.where("schedule_file"), pipeline.field("schedule_file"),
                            fmt::format("expected schedule 'custom' beside it, got '{}'", entry.schedule));
}

/// "inject": entries as after --inject.
void read_injects(ObjectReader& pipeline, GraphFile& file) {
  const std::string right = "a list of delays, such as [\"conv2=+200us\", \"cpu1=x1.5\"]";
  const std::vector<JsonValue>* list = pipeline.list("inject", right);
  if (!list) return;
  for (const JsonValue& element : *list) {
    if (element.is(Kind::string))
      read_inject(file, element.string, element.place.location(), pipeline.field("inject"), pipeline.problems());
    else
      add_expected(pipeline.problems(), element, pipeline.field("inject"), "a delay, such as \"conv2=+200us\"");
  }
}

}  // namespace

std::span<const StageCost> stage_costs() {
  static constexpr StageCost all[] = {
      {"forward_us", "F of one micro-batch", &StageCostsEntry::forward},
      {"input_gradients_us", "I of one micro-batch", &StageCostsEntry::input_gradients},
      {"parameter_gradients_us", "W of one micro-batch", &StageCostsEntry::parameter_gradients},
      {"update_us", "U of a batch", &StageCostsEntry::update},
      {"transfer_us", "one micro-batch over each link to a later stage, either way", &StageCostsEntry::transfer},
  };
  return all;
}

void read_pipeline(ObjectReader& root, GraphFile& file) {
  PipelineEntry& entry = file.pipeline;
  if (const JsonValue* value = root.find("pipeline")) {
    ObjectReader pipeline(root.problems(), *value, "pipeline");
    read_schedule(pipeline, entry);
    read_micro_batch(pipeline, file);
    read_schedule_file(pipeline, entry);
    read_flush(pipeline, entry);
    pipeline.number("watchdog_seconds", entry.watchdog_seconds, 0.001, 1e6);
    entry.where_in_flight = pipeline.where("in_flight");
    pipeline.integer("in_flight", entry.in_flight, 1, most_micro_batches);
    entry.where_link_capacity = pipeline.where("link_capacity");
    pipeline.integer("link_capacity", entry.link_capacity, 1, most_micro_batches);
    const std::string right = "a list of stages: [ {\"layers\": [...]}, ... ]";
    const std::vector<JsonValue>* list = pipeline.list("stages", right);
    if (list && list->empty())
      add_expected(root.problems(), *value->find("stages"), "pipeline.stages", right);
    else if (list)
      StageSection(root.problems(), file).read(*list);
    read_injects(pipeline, file);
    pipeline.finish();
  }
  if (entry.micro_batch == 0) entry.micro_batch = file.training.batch;
}

}  // namespace lenet_flow

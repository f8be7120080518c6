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
    read_device_of(object, stage);
    bool recompute = false;
    object.boolean("recompute", recompute);
    if (recompute)
      problems_.add(object.where("recompute"), object.field("recompute"),
                    "expected false (stages cannot compute their activations anew yet), got true");
    object.finish();
    file_.pipeline.stages.push_back(std::move(stage));
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

  /// "devices" of a stage: one replica a device. Its layers take the device over, or name it too.
  void read_device_of(ObjectReader& object, const StageEntry& stage) {
    const JsonValue* value = object.find("devices");
    if (!value) return;
    const std::string field = object.field("devices");
    if (!value->is(Kind::list) || value->list.empty() || !value->list[0].is(Kind::string))
      return add_expected(problems_, *value, field, "a list of one device's name");
    if (value->list.size() > 1)
      return add_expected(problems_, *value, field, "one device (stages cannot have replicas yet)");
    const std::string& device = value->list[0].string;
    const std::vector<std::string> names = names_of(file_.devices);
    if (std::find(names.begin(), names.end(), device) == names.end())
      return problems_.add(value->list[0].place.location(), field, "unknown device " + with_suggestion(device, names));
    for (const std::string& name : stage.layers) {
      LayerEntry& layer = file_.layers[layer_of_.at(name)];
      if (layer.device.empty()) layer.device = device;
      if (layer.device != device)
        problems_.add(value->list[0].place.location(), field,
                      fmt::format("expected the device of its layers; layer '{}' is on '{}', not on '{}'", name,
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
  const std::vector<std::string> names = schedule_names();
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

void read_flush(ObjectReader& pipeline) {
  bool flush = true;
  pipeline.boolean("flush", flush);
  if (!flush)
    pipeline.problems().add(pipeline.where("flush"), pipeline.field("flush"),
                            "expected true (no schedule can run from batch to batch without a flush yet), got false");
}

}  // namespace

void read_pipeline(ObjectReader& root, GraphFile& file) {
  PipelineEntry& entry = file.pipeline;
  if (const JsonValue* value = root.find("pipeline")) {
    ObjectReader pipeline(root.problems(), *value, "pipeline");
    read_schedule(pipeline, entry);
    read_micro_batch(pipeline, file);
    read_flush(pipeline);
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
    pipeline.finish();
  }
  if (entry.micro_batch == 0) entry.micro_batch = file.training.batch;
}

}  // namespace lenet_flow

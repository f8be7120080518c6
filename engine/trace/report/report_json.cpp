#include <json/json.h>

#include <cmath>
#include <sstream>

#include "engine/trace/report/report.h"
#include "engine/trace/states.h"

// The small part of the report's data. Field names are those that engine/trace/report/*.js read.

namespace lenet_flow {
namespace {

/// JSON knows neither NaN nor infinity.
Json::Value number(double value) { return std::isfinite(value) ? Json::Value(value) : Json::Value(); }

template <typename Items, typename ToJson>
Json::Value list_of(const Items& items, ToJson&& to_json) {
  Json::Value list(Json::arrayValue);
  for (const auto& item : items) list.append(to_json(item));
  return list;
}

Json::Value texts(const std::vector<std::string>& items) {
  return list_of(items, [](const std::string& item) { return Json::Value(item); });
}

Json::Value unit_json(const ReportData& data, std::size_t index) {
  const TracedPipeline::Unit& unit = data.pipeline.units[index];
  Json::Value json;
  json["name"] = data.pipeline.unit_name(static_cast<int>(index));
  json["stage"] = unit.stage;
  json["replica"] = unit.replica;
  json["device"] = unit.device;
  Json::Value& steps = json["steps"] = Json::Value(Json::arrayValue);
  for (const std::vector<std::string>& of_kind : unit.steps) steps.append(texts(of_kind));
  return json;
}

Json::Value layer_json(const ReportLayer& layer) {
  Json::Value json;
  json["name"] = layer.name;
  json["type"] = layer.type;
  json["shape"] = layer.shape;
  json["stage"] = layer.stage;
  json["producers"] = list_of(layer.producers, [](int producer) { return Json::Value(producer); });
  return json;
}

Json::Value link_json(const ReportLink& link) {
  Json::Value json;
  json["name"] = link.name;
  json["from"] = link.from;
  json["to"] = link.to;
  json["bytes"] = Json::Int64{link.bytes};
  return json;
}

/// "conv1 (again)": what a stage that recomputes runs once more.
constexpr std::string_view again = " (again)";

/// Floating-point operations of a step of a stage for one image; 0 where they are not counted (the loss, the update).
double flops_of(const ReportData& data, int stage, const StepResult& step) {
  const bool repeated = step.step.ends_with(again);
  const std::string_view name = std::string_view(step.step).substr(0, step.step.size() - (repeated ? again.size() : 0));
  for (const ReportLayer& layer : data.layers) {
    if (layer.stage != stage || layer.name != name) continue;
    if (repeated) return layer.flops.forward;
    switch (step.action) {
      case ActionKind::forward: return layer.flops.forward;
      case ActionKind::input_gradients: return layer.flops.input_gradients;
      case ActionKind::parameter_gradients: return layer.flops.parameter_gradients;
      case ActionKind::backward: return layer.flops.input_gradients + layer.flops.parameter_gradients;
      case ActionKind::update: return 0;
    }
  }
  return 0;
}

/// What the result's steps do not say themselves: whose they are, and their operations in the whole run.
Json::Value step_json(const ReportData& data, const StepResult& step) {
  Json::Value json;
  for (std::size_t unit = 0; unit < data.pipeline.units.size() && unit < data.result.stages.size(); ++unit) {
    const StageResult& stage = data.result.stages[unit];
    if (stage.name != step.stage || stage.replica != step.replica) continue;
    json["unit"] = Json::UInt64{unit};
    json["flops"] = number(flops_of(data, data.pipeline.units[unit].stage, step) * static_cast<double>(stage.images));
  }
  return json;
}

Json::Value parsed(const std::string& text) {
  Json::Value json;
  std::istringstream stream(text);
  stream >> json;
  return json;
}

}  // namespace

std::string report_json(const ReportData& data) {
  Json::Value json;
  json["result"] = parsed(result_json(data.result));
  json["states"] = list_of(time_states, [](const State& state) { return Json::Value(state.name); });
  Json::Value& pipeline = json["pipeline"];
  pipeline["stages"] = texts(data.pipeline.stages);
  pipeline["devices"] = texts(data.pipeline.devices);
  pipeline["in_flight"] = data.pipeline.in_flight;
  pipeline["link_capacity"] = data.pipeline.link_capacity;
  Json::Value& units = pipeline["units"] = Json::Value(Json::arrayValue);
  for (std::size_t i = 0; i < data.pipeline.units.size(); ++i) units.append(unit_json(data, i));
  json["layers"] = list_of(data.layers, layer_json);
  json["links"] = list_of(data.links, link_json);
  json["steps"] = list_of(data.result.steps, [&](const StepResult& step) { return step_json(data, step); });
  json["peak_flops"] = list_of(data.peak_flops, number);
  json["graph_file"] = data.graph_file;
  json["graph_text"] = data.graph_text;
  json["changes"] = texts(data.changes);
  json["machine"] = list_of(data.machine, [](const auto& fact) { return texts({fact.first, fact.second}); });
  Json::StreamWriterBuilder builder;
  builder["indentation"] = "";
  builder["precision"] = 9;
  std::string text = Json::writeString(builder, json);
  // "<" is only in texts; a text may hold "</script>" or "<!--", which HTML would act on.
  std::string safe;
  safe.reserve(text.size());
  for (const char c : text) {
    if (c == '<')
      safe += "\\u003c";
    else
      safe += c;
  }
  return safe;
}

}  // namespace lenet_flow

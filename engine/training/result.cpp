#include "engine/training/result.h"

#include <json/json.h>

#include <cmath>

namespace lenet_flow {
namespace {

/// JSON knows neither NaN nor infinity.
Json::Value number(double value) { return std::isfinite(value) ? Json::Value(value) : Json::Value(); }

Json::Value texts(const std::vector<std::string>& values) {
  Json::Value list(Json::arrayValue);
  for (const std::string& value : values) list.append(value);
  return list;
}

template <typename Item, typename ToJson>
Json::Value list_of(const std::vector<Item>& items, ToJson&& to_json) {
  Json::Value list(Json::arrayValue);
  for (const Item& item : items) list.append(to_json(item));
  return list;
}

Json::Value states_json(const StateSeconds& seconds) {
  Json::Value json;
  for (const State& state : time_states) json[state.name] = number(seconds.*state.seconds);
  return json;
}

Json::Value device_json(const DeviceResult& device) {
  Json::Value json;
  json["name"] = device.name;
  json["asked"] = device.asked;
  json["used"] = device.used;
  if (!device.why.empty()) json["why"] = device.why;
  if (device.index >= 0)
    json["index"] = device.index;
  else
    json["cores"] = list_of(device.cores, [](int core) { return Json::Value(core); });
  json["memory_bytes"] = Json::UInt64{device.memory_bytes};
  if (device.seconds) json["seconds"] = states_json(*device.seconds);
  return json;
}

Json::Value epoch_json(const EpochResult& epoch) {
  Json::Value json;
  json["epoch"] = epoch.epoch;
  json["images"] = Json::Int64{epoch.images};
  json["seconds"] = number(epoch.seconds);
  json["loss"] = number(epoch.loss);
  json["test_loss"] = number(epoch.test_loss);
  json["test_accuracy"] = number(epoch.test_accuracy);
  json["learning_rate"] = number(epoch.learning_rate);
  if (!epoch.stages.empty()) json["stages"] = list_of(epoch.stages, states_json);
  return json;
}

Json::Value stage_json(const StageResult& stage) {
  Json::Value json;
  json["name"] = stage.name;
  json["device"] = stage.device;
  json["replica"] = stage.replica;
  json["layers"] = texts(stage.layers);
  json["images"] = Json::Int64{stage.images};
  json["seconds"] = states_json(stage.seconds);
  json["update_seconds"] = number(stage.update_seconds);
  json["injected_seconds"] = number(stage.injected_seconds);
  json["peak_bytes"] = Json::UInt64{stage.peak_bytes};
  if (stage.bytes_without_recompute) json["bytes_without_recompute"] = Json::UInt64{*stage.bytes_without_recompute};
  if (stage.staleness.empty()) return json;
  json["weight_versions"] = stage.weight_versions;
  json["staleness"] = list_of(stage.staleness, [](std::int64_t updates) { return Json::Value(Json::Int64{updates}); });
  return json;
}

Json::Value step_json(const StepResult& step) {
  Json::Value json;
  json["stage"] = step.stage;
  json["device"] = step.device;
  json["replica"] = step.replica;
  json["step"] = step.step;
  json["action"] = std::string(1, letter(step.action));
  json["count"] = Json::UInt64{step.count};
  json["total"] = number(step.total);
  json["mean"] = number(step.mean);
  json["p50"] = number(step.p50);
  json["p90"] = number(step.p90);
  json["p99"] = number(step.p99);
  json["max"] = number(step.max);
  return json;
}

Json::Value trace_json(const TraceResult& trace) {
  Json::Value json;
  json["clock"] = trace.clock;
  json["clock_drift_ppm"] = number(trace.clock_drift_ppm);
  json["events"] = Json::UInt64{trace.events};
  json["lost"] = Json::UInt64{trace.lost};
  json["backward"] = Json::UInt64{trace.backward};
  json["sleeps"] = Json::UInt64{trace.sleeps};
  json["asleep_seconds"] = number(trace.asleep_seconds);
  json["event_seconds"] = number(trace.event_seconds);
  json["device_share"] = number(trace.device_share);
  json["collector_share"] = number(trace.collector_share);
  if (trace.file.empty()) return json;
  json["file"] = trace.file;
  json["batches"] = Json::Int64{trace.coverage.batches};
  json["batches_of_run"] = Json::Int64{trace.coverage.batches_of_run};
  json["batches_at_most"] = Json::Int64{trace.coverage.batches_at_most};
  json["sampled_every"] = Json::Int64{trace.coverage.sampled_every};
  json["written"] = Json::UInt64{trace.coverage.written};
  return json;
}

Json::Value root_json(const Root& root) {
  Json::Value json;
  json["kind"] = word(root.kind);
  json["name"] = root.name;
  json["seconds"] = number(root.seconds);
  json["share"] = number(root.share);
  return json;
}

Json::Value diagnosis_json(const Diagnosis& diagnosis) {
  Json::Value json;
  json["line"] = diagnosis.line;
  json["basis"] = diagnosis.basis;
  json["measured_seconds"] = number(diagnosis.measured_seconds);
  json["replayed_seconds"] = number(diagnosis.replayed_seconds);
  json["nobody_computes_seconds"] = number(diagnosis.nobody_computes_seconds);
  json["one_device_seconds"] = number(diagnosis.one_device_seconds);
  json["causes"] = list_of(diagnosis.causes, root_json);
  json["waits"] = list_of(diagnosis.waits, [](const std::vector<Root>& roots) { return list_of(roots, root_json); });
  return json;
}

Json::Value costs_json(const StageCostsResult& costs) {
  Json::Value json;
  json["stage"] = costs.stage;
  json["source"] = costs.source;
  json["forward"] = number(costs.forward);
  json["input_gradients"] = number(costs.input_gradients);
  json["parameter_gradients"] = number(costs.parameter_gradients);
  json["update"] = number(costs.update);
  return json;
}

Json::Value injected_json(const InjectedResult& injected) {
  Json::Value json;
  json["text"] = injected.text;
  json["what"] = injected.what;
  json["name"] = injected.name;
  json["seconds"] = number(injected.seconds);
  if (injected.what == "link")
    json["bytes_per_second"] = injected.bytes_per_second > 0 ? number(injected.bytes_per_second) : Json::Value();
  else
    json["factor"] = number(injected.factor);
  return json;
}

Json::Value pipeline_json(const PipelineResult& pipeline) {
  Json::Value json;
  json["schedule"] = pipeline.schedule;
  json["stages"] = pipeline.stages;
  json["micro_batch"] = Json::Int64{pipeline.micro_batch};
  json["micro_batches"] = pipeline.micro_batches;
  json["in_flight"] = pipeline.in_flight;
  if (!pipeline.costs.empty()) json["costs"] = list_of(pipeline.costs, costs_json);
  json["weight_versions"] = pipeline.weight_versions;
  json["bubble_measured"] = number(pipeline.bubble_measured);
  json["bubble_theory"] = pipeline.bubble_theory ? number(*pipeline.bubble_theory) : Json::Value();
  return json;
}

Json::Value memory_json(const RunResult& result) {
  Json::Value json;
  json["peak_resident_bytes"] = Json::UInt64{result.peak_resident_bytes};
  Json::Value& devices = json["devices"] = Json::Value(Json::objectValue);
  for (const DeviceResult& device : result.devices) devices[device.name] = Json::UInt64{device.memory_bytes};
  return json;
}

/// Joules by name, null where not known.
Json::Value energy_json(const std::vector<EnergyReading>& readings) {
  Json::Value json(Json::objectValue);
  for (const EnergyReading& reading : readings)
    json[reading.name] = reading.joules ? number(*reading.joules) : Json::Value();
  return json;
}

Json::Value energy_why_json(const std::vector<EnergyReading>& readings) {
  Json::Value json(Json::objectValue);
  for (const EnergyReading& reading : readings)
    if (!reading.joules) json[reading.name] = reading.why;
  return json;
}

}  // namespace

std::string result_json(const RunResult& result) {
  Json::Value json;
  json["schema"] = "lenet-flow.run/1";
  json["version"] = result.version;
  json["graph"] = result.graph;
  json["mode"] = result.mode;
  json["seed"] = Json::UInt64{result.seed};
  json["command"] = result.command;
  json["data"]["set"] = result.data_set;
  json["data"]["location"] = result.data_location;
  json["simd"] = result.simd;
  json["devices"] = list_of(result.devices, device_json);
  json["epochs"] = list_of(result.epochs, epoch_json);
  json["images"] = Json::Int64{result.images};
  json["seconds"] = number(result.seconds);
  json["images_per_second"] = number(result.images_per_second);
  json["wall_seconds"] = number(result.wall_seconds);
  json["test_accuracy"] = number(result.test_accuracy);
  json["test_loss"] = number(result.test_loss);
  json["parameters_sha256"] = result.parameters_sha256;
  json["pipeline"] = pipeline_json(result.pipeline);
  json["stages"] = list_of(result.stages, stage_json);
  json["steps"] = list_of(result.steps, step_json);
  json["trace"] = trace_json(result.trace);
  json["diagnosis"] = diagnosis_json(result.diagnosis);
  json["memory"] = memory_json(result);
  json["energy"] = energy_json(result.energy);
  json["energy_why"] = energy_why_json(result.energy);
  json["injected"] = list_of(result.injected, injected_json);
  json["warnings"] = texts(result.warnings);
  json["interrupted"] = result.interrupted;
  Json::StreamWriterBuilder builder;
  builder["indentation"] = "  ";
  builder["enableYAMLCompatibility"] = true;  // "key": value
  builder["precision"] = 17;                  // a double comes back as it was
  return Json::writeString(builder, json) + "\n";
}

}  // namespace lenet_flow

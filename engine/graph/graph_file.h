#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/graph/diagnostics.h"
#include "engine/graph/injection.h"
#include "layers/registry.h"

namespace lenet_flow {

/// One device of the file, after --map.
struct DeviceEntry {
  std::string name;
  std::string asked;                  ///< for results: "cuda 0", "cpu, 1 core", "cpu, cores [2, 3]"
  DeviceKind kind = DeviceKind::cpu;  ///< as asked
  int index = 0;                      ///< of a GPU
  int cores = 1;                      ///< of a CPU device
  std::vector<int> core_list;         ///< of a CPU device that names its cores; else empty
  bool otherwise_cpu = false;         ///< "otherwise": "cpu"
  std::int64_t memory_limit = 0;      ///< bytes that a run may hold there; 0: no limit but the machine's
  /// --map NAME=WHAT, or empty: "cpu" (a kind) or the name of another device of the file.
  std::string mapped_to;
  SourceLocation where;
};

/// An object with a "type" whose attributes were checked: loss, optimizer, schedule, preprocessing, augmentation.
struct TypedEntry {
  std::string type;
  Attributes attributes;
  SourceLocation where;
};

/// One layer as the file says it.
struct LayerEntry {
  std::string name;
  const LayerType* type = nullptr;
  Attributes attributes;
  std::vector<std::string> after;  ///< names of layers, or "input"; default filled in
  std::string device;
  /// Devices that share the layer's output channels, one part each; empty: it is not split.
  std::vector<std::string> split;
  SourceLocation where;        ///< of the layer
  SourceLocation where_after;  ///< of "after", or of the layer
};

/// "costs" of a stage: what the file says its actions take for one micro-batch, in microseconds. What it does not say
/// is measured or estimated.
struct StageCostsEntry {
  std::optional<double> forward, input_gradients, parameter_gradients, update;
  std::optional<double> transfer;  ///< over each link to a later stage, either way
};

/// One hand-made stage of "pipeline.stages".
struct StageEntry {
  std::string name;
  std::vector<std::string> layers;
  std::vector<std::string> devices;  ///< one a replica; empty: that of its layers
  bool recompute = false;
  StageCostsEntry costs;
  SourceLocation where;
};

/// What "pipeline.flush" and "pipeline.weight_versions" say.
enum class Flush {
  every_batch,      ///< a stage enters a batch after its update of the one before
  stashing,         ///< no flush; a backward reads the parameters that its forward read
  double_buffered,  ///< no flush; a batch reads the parameters from before the batch before
};

struct DataEntry {
  std::string set;
  bool shuffle = true;
  /// Default: scale by 1/255.
  std::vector<TypedEntry> preprocess;
  std::vector<TypedEntry> augment;
  SourceLocation where, where_set;
};

struct TrainingEntry {
  Mode mode = Mode::train;
  int epochs = 10;
  std::int64_t batch = 64;
  std::uint64_t seed = 1;
  TypedEntry optimizer;  ///< default: sgd, learning_rate 0.01
  TypedEntry schedule;   ///< default: constant
};

struct PipelineEntry {
  std::string schedule = "gpipe";
  std::int64_t micro_batch = 0;  ///< default: the batch
  int in_flight = 0;             ///< micro-batches admitted at a time; 0: what the schedule needs
  int link_capacity = 0;         ///< micro-batches a link holds; 0: as many as are in flight
  Flush flush = Flush::every_batch;
  std::string schedule_file;    ///< of schedule `custom`; relative to the graph file's folder
  double watchdog_seconds = 0;  ///< 0: 10 times the slowest action seen, at least 1 s
  std::vector<StageEntry> stages;
  std::vector<InjectEntry> inject;  ///< those of the file, then those of --inject
  SourceLocation where_schedule, where_micro_batch, where_in_flight, where_link_capacity;
};

/// A graph file, version 1, checked for everything that needs no data and no shapes (network.h does those).
struct GraphFile {
  std::string path;
  std::string name;
  std::vector<DeviceEntry> devices;
  std::vector<LayerEntry> layers;
  DataEntry data;
  TypedEntry loss;
  TrainingEntry training;
  PipelineEntry pipeline;
  std::vector<std::string> warnings;  ///< whole lines, with file and line
};

/// What the command line changes in the file.
struct GraphOptions {
  std::vector<std::string> sets;          ///< --set PATH=VALUE, in order; the value is JSON, or a bare word as a string
  std::vector<std::string> maps;          ///< --map DEVICE=WHAT
  std::vector<std::string> injects = {};  ///< --inject WHAT=DELAY
};

/// Reads and checks a graph file. Throws InputError with every error found: unreadable, larger than 4 MiB, not
/// UTF-8, not JSON (comments allowed), nested deeper than 64, duplicate or unknown keys, wrong types, numbers out of
/// range, unknown types, names or devices.
GraphFile read_graph_file(const std::filesystem::path& path, const GraphOptions& options = {});
/// The same for text in memory; `path` is for messages.
GraphFile parse_graph_file(const std::string& text, const std::string& path, const GraphOptions& options = {});

/// The attribute that counts the output channels by which a layer of this type can be split: "out_channels",
/// "out_features", or empty where it can't be.
std::string split_attribute(const LayerType& type);

/// Learning-rate schedules, preprocessing and augmentation steps that a file may name: their attributes. What they
/// do is in engine/training/learning_rate.h and engine/data/.
struct EntryType {
  std::string name;
  std::string help;
  std::vector<AttributeSpec> attributes;
};
const std::vector<EntryType>& learning_rate_types();
const std::vector<EntryType>& preprocess_types();
const std::vector<EntryType>& augment_types();

/// The JSON Schema (draft 7) of graph files, made from the registries: what graphs/graph.schema.json holds.
std::string graph_schema();

}  // namespace lenet_flow

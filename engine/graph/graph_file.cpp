#include "engine/graph/graph_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <deque>
#include <fstream>
#include <unordered_set>

#include "engine/graph/json_change.h"
#include "engine/graph/sections.h"

namespace lenet_flow {
namespace {

constexpr std::int64_t file_version = 1;

[[noreturn]] void fail(const std::string& path, const std::string& message) {
  throw InputError(Diagnostic({path, 0, 0}, "", message));
}

/// The graph file of the same folder that was probably meant, or empty.
std::string nearby_file(const std::filesystem::path& path) {
  constexpr int most_looked_at = 1000;
  std::vector<std::string> names;
  std::error_code error;
  const auto folder = path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
  for (std::filesystem::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    if (at->path().extension() == ".json") names.push_back(at->path().filename().string());
    if (names.size() >= most_looked_at) break;
  }
  const std::string nearest = nearest_name(path.filename().string(), names);
  return nearest.empty() ? "" : (path.parent_path() / nearest).string();
}

/// The bytes of a file of at most largest_json_bytes.
std::string read_bytes(const std::filesystem::path& path) {
  const std::string shown = path.string();
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (status.type() == std::filesystem::file_type::not_found) {
    const std::string nearby = nearby_file(path);
    fail(shown, "no such file" + (nearby.empty() ? "" : fmt::format("; did you mean '{}'?", nearby)));
  }
  if (status.type() == std::filesystem::file_type::directory) fail(shown, "expected a graph file, got a folder");
  if (error) fail(shown, "cannot be read: " + error.message());
  if (status.type() != std::filesystem::file_type::regular) fail(shown, "expected a graph file, got no regular file");
  std::ifstream stream(path, std::ios::binary);
  if (!stream) fail(shown, fmt::format("cannot be read: {}", std::strerror(errno)));
  std::string bytes(largest_json_bytes + 1, '\0');
  stream.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  if (stream.bad()) fail(shown, "cannot be read to its end");
  bytes.resize(static_cast<std::size_t>(stream.gcount()));
  if (bytes.size() > largest_json_bytes)
    fail(shown, fmt::format("expected a file of at most {} MiB", largest_json_bytes >> 20));
  return bytes;
}

void read_version(ObjectReader& root) {
  const std::string right = fmt::format("{}, the version of the file's form", file_version);
  const JsonValue* version = root.require("version", right);
  if (version && whole_number(*version) != file_version) add_expected(root.problems(), *version, "version", right);
}

void read_name(ObjectReader& root, GraphFile& file) {
  constexpr std::size_t longest_name = 100;
  file.name = printable(std::filesystem::path(file.path).stem().string(), longest_name);
  const JsonValue* name = root.find("name");
  if (!name) return;
  const bool good = name->is(JsonValue::Kind::string) && !name->string.empty() && name->string.size() <= longest_name &&
                    printable(name->string, longest_name) == name->string;
  if (good)
    file.name = name->string;
  else
    add_expected(root.problems(), *name, "name", fmt::format("a line of 1 to {} bytes", longest_name));
}

/// --map DEVICE=WHAT
void apply_map(GraphFile& file, const std::string& map, Problems& problems) {
  const SourceLocation where{"--map " + printable(map, 100), 0, 0};
  const std::size_t equals = map.find('=');
  if (equals == std::string::npos || equals == 0 || equals + 1 == map.size())
    return problems.add(where, "", "expected DEVICE=WHAT, such as --map gpu0=cpu");
  const std::string name = map.substr(0, equals), what = map.substr(equals + 1);
  const std::vector<std::string> names = names_of(file.devices);
  DeviceEntry* device = nullptr;
  for (DeviceEntry& entry : file.devices)
    if (entry.name == name) device = &entry;
  if (!device) return problems.add(where, "", "unknown device " + with_suggestion(name, names));
  std::vector<std::string> targets = names;
  targets.insert(targets.end(), {"cpu", "cuda"});
  if (std::find(targets.begin(), targets.end(), what) == targets.end())
    return problems.add(where, "",
                        fmt::format("expected a kind (cpu, cuda) or another device of the file, got {}",
                                    with_suggestion(what, targets)));
  if (what == name)
    return problems.add(where, "", "expected a kind (cpu, cuda) or another device of the file, got the device itself");
  device->mapped_to = what;
}

/// --map a=b --map b=a
void check_map_circles(const GraphFile& file, Problems& problems) {
  std::unordered_map<std::string, const DeviceEntry*> by_name;
  for (const DeviceEntry& device : file.devices) by_name[device.name] = &device;
  for (const DeviceEntry& device : file.devices) {
    std::unordered_set<std::string> seen;
    std::string at = device.name, way = at;
    while (by_name.contains(at) && !by_name[at]->mapped_to.empty() && seen.insert(at).second) {
      at = by_name[at]->mapped_to;
      way += " -> " + at;
    }
    if (!seen.contains(at)) continue;
    return problems.add({fmt::format("--map {}={}", device.name, device.mapped_to), 0, 0}, "",
                        fmt::format("the devices stand for one another in a circle: {}", way));
  }
}

void warn_of_unused_devices(GraphFile& file) {
  std::unordered_set<std::string> used;
  for (const LayerEntry& layer : file.layers) {
    used.insert(layer.device);
    used.insert(layer.split.begin(), layer.split.end());
  }
  for (const StageEntry& stage : file.pipeline.stages) used.insert(stage.devices.begin(), stage.devices.end());
  for (const DeviceEntry& device : file.devices)
    if (!used.contains(device.name))
      file.warnings.push_back(Diagnostic{device.where, "devices." + device.name, "no layer is on this device"}.text());
}

}  // namespace

GraphFile read_graph_file(const std::filesystem::path& path, const GraphOptions& options) {
  return parse_graph_file(read_bytes(path), path.string(), options);
}

GraphFile parse_graph_file(const std::string& text, const std::string& path, const GraphOptions& options) {
  static constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";
  Problems problems;
  std::deque<SourceText> sources;
  sources.push_back(SourceText::file(path, text.substr(text.starts_with(byte_order_mark) ? 3 : 0)));
  if (text.find_first_not_of(" \t\r\n") == std::string::npos) fail(path, "expected a graph file, got an empty file");
  JsonValue json = parse_json(sources[0], problems);
  problems.throw_if_any();
  for (const std::string& set : options.sets) apply_set(json, set, sources, problems);

  GraphFile file;
  file.path = path;
  ObjectReader root(problems, json, "");
  if (root.is_object()) {
    root.ignore("$schema");
    read_version(root);
    read_name(root, file);
    read_devices(root, file);
    read_data(root, file);
    read_layers(root, file);
    read_loss(root, file);
    read_training(root, file);
    read_pipeline(root, file);
    check_layer_devices(file, problems);
    root.finish();
    for (const std::string& inject : options.injects)
      read_inject(file, inject, {"--inject " + printable(inject, 100), 0, 0}, "", problems);
    for (const std::string& map : options.maps) apply_map(file, map, problems);
    check_map_circles(file, problems);
  }
  problems.throw_if_any();
  warn_of_unused_devices(file);
  return file;
}

}  // namespace lenet_flow

#include "engine/graph/json_change.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>

namespace lenet_flow {
namespace {

/// True where `path` is `key`, or begins with it and a dot.
bool begins_with_key(std::string_view path, std::string_view key) {
  return path.starts_with(key) && (path.size() == key.size() || path[key.size()] == '.');
}

std::string_view first_key(std::string_view path) { return path.substr(0, path.find('.')); }

const std::string* name_of(const JsonValue& entry) {
  const JsonValue* name = entry.find("name");
  return name && name->is(JsonValue::Kind::string) ? &name->string : nullptr;
}

std::optional<std::size_t> index_of(std::string_view key) {
  std::size_t index = 0;
  const auto [stop, error] = std::from_chars(key.data(), key.data() + key.size(), index);
  if (error != std::errc{} || stop != key.data() + key.size()) return std::nullopt;
  return index;
}

/// Goes down one path, making objects on the way, and tells where the value belongs.
class PathWalk {
 public:
  PathWalk(std::string_view path, const SourceText& source, Problems& problems)
      : whole_(path), rest_(path), source_(source), problems_(problems) {}

  /// The value to be replaced; null where there is no such place (a problem is added).
  JsonValue* find(JsonValue& root) {
    JsonValue* at = &root;
    while (at && !rest_.empty()) at = at->is(JsonValue::Kind::list) ? entry(*at) : member(*at);
    return at;
  }

 private:
  /// Takes `key` off the path.
  void go_on(std::string_view key) { rest_.remove_prefix(std::min(rest_.size(), key.size() + 1)); }
  std::string gone() const {
    std::string_view before = whole_.substr(0, whole_.size() - rest_.size());
    if (before.ends_with('.')) before.remove_suffix(1);
    return std::string(before);
  }
  JsonValue* fail(std::string message) {
    problems_.add(source_.at(0), gone(), std::move(message));
    return nullptr;
  }

  JsonValue* entry(JsonValue& list) {
    JsonValue* found = nullptr;
    std::size_t length = 0;
    std::vector<std::string> names;
    for (JsonValue& candidate : list.list) {
      const std::string* name = name_of(candidate);
      if (!name) continue;
      names.push_back(*name);
      if (!begins_with_key(rest_, *name) || name->size() < length) continue;
      found = &candidate;
      length = name->size();
    }
    std::string_view key = rest_.substr(0, length);
    if (!found) {
      key = first_key(rest_);
      const auto index = index_of(key);
      if (!index || *index >= list.list.size()) {
        const std::string what = gone() == "layers" ? "layer" : gone() == "pipeline.stages" ? "stage" : "entry";
        if (!names.empty()) return fail(fmt::format("unknown {} {}", what, with_suggestion(key, names)));
        return fail(fmt::format("no {} '{}'; the list has {}", what, printable(key), list.list.size()));
      }
      found = &list.list[*index];
    }
    go_on(key);
    return found;
  }

  JsonValue* member(JsonValue& object) {
    if (!object.is(JsonValue::Kind::object))
      return fail(
          fmt::format("expected an object or a list to find '{}' in, got {}", printable(rest_), object.shown()));
    std::string_view key;
    std::vector<std::string> names;
    for (const JsonValue::Member& candidate : object.members) {
      names.push_back(candidate.key);
      if (begins_with_key(rest_, candidate.key) && candidate.key.size() >= key.size()) key = candidate.key;
    }
    if (key.empty()) {
      key = first_key(rest_);
      if (gone() == "devices" && key.size() < rest_.size())
        return fail(fmt::format("unknown device {}", with_suggestion(key, names)));
      object.members.push_back({std::string(key), {&source_, 0, 0}, {}});
      object.members.back().value.kind = JsonValue::Kind::object;
      object.members.back().value.place = {&source_, 0, 0};
    }
    JsonValue* value = object.find(key);
    go_on(key);
    return value;
  }

  std::string_view whole_, rest_;
  const SourceText& source_;
  Problems& problems_;
};

/// The JSON value that `source` holds, or its text as a string where it does not look like JSON.
JsonValue parse_value(const SourceText& source, Problems& problems) {
  const std::string& text = source.text();
  if (std::string_view("{[\"").find(text[0]) != std::string_view::npos) return parse_json(source, problems);
  Problems not_json;
  JsonValue value = parse_json(source, not_json);
  if (not_json.empty()) return value;
  check_encoding(source, problems);
  value.kind = JsonValue::Kind::string;
  value.string = text;
  value.place = {&source, 0, text.size()};
  return value;
}

}  // namespace

void apply_set(JsonValue& root, const std::string& set, std::deque<SourceText>& sources, Problems& problems) {
  const std::size_t equals = set.find('=');
  const bool has_both = equals != std::string::npos && equals > 0 && equals + 1 < set.size();
  sources.push_back(SourceText::option("--set " + printable(set, 100), has_both ? set.substr(equals + 1) : ""));
  const SourceText& source = sources.back();
  if (!has_both) return problems.add(source.at(0), "", "expected PATH=VALUE, such as --set training.epochs=3");
  const std::string path = set.substr(0, equals);
  if (path.front() == '.' || path.back() == '.' || path.find("..") != std::string::npos)
    return problems.add(source.at(0), "",
                        fmt::format("expected a field such as training.epochs, got '{}'", printable(path)));
  Problems of_value;
  JsonValue value = parse_value(source, of_value);
  if (!of_value.empty()) return problems.add(std::move(of_value));
  if (JsonValue* target = PathWalk(path, source, problems).find(root)) *target = std::move(value);
}

}  // namespace lenet_flow

#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/graph/problems.h"
#include "engine/graph/source_text.h"

namespace lenet_flow {

/// A value of a JSON text with the place it came from. Members keep the order of the file.
struct JsonValue {
  enum class Kind { null, boolean, number, string, list, object };
  struct Member;

  Kind kind = Kind::null;
  bool boolean = false;
  double number = 0;
  std::string string;
  std::vector<JsonValue> list;
  /// Every key as it stands, a key that stands twice too (the last one's value counts).
  std::vector<Member> members;
  Place place;

  bool is(Kind wanted) const { return kind == wanted; }
  /// The value of the last member called `key`, or null.
  const JsonValue* find(std::string_view key) const;
  JsonValue* find(std::string_view key);
  /// As a message shows it: the text itself where it is short, else "an object", "a list".
  std::string shown() const;
};

struct JsonValue::Member {
  std::string key;
  Place place;  ///< of the key
  JsonValue value;
};

/// Bounds of what is read, so that no file can exhaust memory, the stack or a user's patience.
inline constexpr std::size_t largest_json_bytes = 4 << 20;
inline constexpr int deepest_json = 64;
inline constexpr std::size_t most_json_values = 500'000;

/// Reads `source`, which outlives the value: JSON, with comments and trailing commas. Adds a problem for each thing
/// that is wrong (and returns null then): encoding, syntax, depth, size.
JsonValue parse_json(const SourceText& source, Problems& problems);

}  // namespace lenet_flow

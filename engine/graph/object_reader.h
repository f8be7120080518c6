#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/graph/json_value.h"
#include "engine/graph/problems.h"
#include "layers/attributes.h"

namespace lenet_flow {

/// A number between the ends; the whole numbers among them for integers.
struct Range {
  double minimum = 0, maximum = 0;
  bool open_minimum = false, open_maximum = false;

  bool holds(double value) const {
    return (open_minimum ? value > minimum : value >= minimum) && (open_maximum ? value < maximum : value <= maximum);
  }
};

/// "a positive integer", "an integer from 2 to 8", "a number in (0, 1]".
std::string integer_text(const Range& range);
std::string number_text(const Range& range);

/// Adds "expected WHAT, got ..." at the value's place.
void add_expected(Problems& problems, const JsonValue& value, const std::string& field, const std::string& what);

/// The whole number that `value` is (3 and 3.0 and 3e0 are; at most 9.2e18 either way), or none.
std::optional<std::int64_t> whole_number(const JsonValue& value);
/// The same; adds a problem where it is none or not in the range.
std::optional<std::int64_t> read_integer(Problems& problems, const JsonValue& value, const std::string& field,
                                         const Range& range);

/// Reads the fields of one JSON object, adding a problem for each that is not as it should be. What was asked for is
/// what the object may hold: finish() reports every other key. A value that is not there leaves its target as it was.
class ObjectReader {
 public:
  /// `field`: the object's name in messages ("training"), empty for the whole file. Adds a problem where `value` is
  /// no object, and for keys that stand twice.
  ObjectReader(Problems& problems, const JsonValue& value, std::string field);

  bool is_object() const { return value_.is(JsonValue::Kind::object); }
  Problems& problems() const { return problems_; }
  /// "training", and "training.epochs"
  const std::string& field() const { return field_; }
  std::string field(std::string_view key) const;
  /// Of the object.
  SourceLocation where() const { return value_.place.location(); }
  /// Of the key's value, or of the object where the key is not there.
  SourceLocation where(std::string_view key) const;

  /// The value of `key`, or null.
  const JsonValue* find(std::string_view key);
  /// The same; adds a problem where there is none. `what`: what is expected ("a name").
  const JsonValue* require(std::string_view key, const std::string& what);
  void boolean(std::string_view key, bool& target);
  void string(std::string_view key, std::string& target);
  /// As is_name() says.
  void name(std::string_view key, std::string& target);
  template <typename Integer>
  void integer(std::string_view key, Integer& target, double minimum, double maximum) {
    if (const JsonValue* value = find(key))
      if (const auto read = read_integer(problems_, *value, field(key), {minimum, maximum}))
        target = static_cast<Integer>(*read);
  }
  void number(std::string_view key, double& target, double minimum, double maximum);
  /// A list; null where there is none or the value is no list.
  const std::vector<JsonValue>* list(std::string_view key, const std::string& what);
  /// Keys that are known and need no reading.
  void ignore(std::string_view key) { find(key); }

  /// Reads what `specs` say; defaults are filled in where the file says nothing.
  Attributes attributes(const std::vector<AttributeSpec>& specs);

  /// Adds a problem for each key that nobody asked for.
  void finish();

 private:
  void add_duplicates();

  Problems& problems_;
  const JsonValue& value_;
  std::string field_;
  std::vector<std::string> known_;
};

/// Letters, digits, '_', '-' and single '.' inside, 100 characters at most: what layers, devices and stages may be
/// called, so that names go into paths, tables, tensors' names and schedules as they are.
bool is_name(std::string_view text);
inline constexpr const char* name_text = "a name of letters, digits, '_', '-' and '.'";

/// What a file may write for an attribute: "a positive integer or a pair".
std::string attribute_text(const AttributeSpec& spec);
/// Reads one attribute; monostate where it is wrong.
AttributeValue read_attribute(Problems& problems, const JsonValue& value, const std::string& field,
                              const AttributeSpec& spec);

}  // namespace lenet_flow

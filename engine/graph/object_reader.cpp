#include "engine/graph/object_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <unordered_map>

namespace lenet_flow {
namespace {

/// Where bounds are wider than this nobody needs to be told of them.
constexpr double no_bound = 1e15;

/// 1024 as it is, not 1.024e3; 1e-05 as 1e-05.
std::string bound_text(double bound) {
  if (bound == std::floor(bound) && std::abs(bound) < no_bound) return fmt::format("{:.0f}", bound);
  return fmt::format("{}", bound);
}

bool is_quoted_number(const JsonValue& value) {
  if (!value.is(JsonValue::Kind::string) || value.string.empty()) return false;
  double number = 0;
  const char* const end = value.string.data() + value.string.size();
  const auto [stop, error] = std::from_chars(value.string.data(), end, number);
  return error == std::errc{} && stop == end && value.place.text().starts_with('"');
}

}  // namespace

std::string integer_text(const Range& range) {
  if (range.minimum == 1) return "a positive integer";
  if (range.minimum == 0) return "an integer that is not negative";
  if (range.minimum <= -no_bound) return "an integer";
  return fmt::format("an integer from {} to {}", bound_text(range.minimum), bound_text(range.maximum));
}

std::string number_text(const Range& range) {
  const bool below = range.minimum > -no_bound, above = range.maximum < no_bound;
  if (!above) {
    if (!below) return "a number";
    if (range.minimum == 0) return range.open_minimum ? "a positive number" : "a number that is not negative";
    return fmt::format("a number {} {}", range.open_minimum ? "greater than" : "of at least",
                       bound_text(range.minimum));
  }
  if (!below) return fmt::format("a number {} {}", range.open_maximum ? "less than" : "of at most", range.maximum);
  return fmt::format("a number in {}{}, {}{}", range.open_minimum ? '(' : '[', bound_text(range.minimum),
                     bound_text(range.maximum), range.open_maximum ? ')' : ']');
}

void add_expected(Problems& problems, const JsonValue& value, const std::string& field, const std::string& what) {
  if (problems.full()) return problems.add({}, {}, {});
  const bool number_wanted = what.find("integer") != std::string::npos || what.find("number") != std::string::npos;
  problems.add(value.place.location(), field,
               fmt::format("expected {}, got {}{}", what, value.shown(),
                           number_wanted && is_quoted_number(value) ? "; write it without quotes" : ""));
}

std::optional<std::int64_t> whole_number(const JsonValue& value) {
  constexpr double too_large = 9.2e18;
  if (!value.is(JsonValue::Kind::number) || value.number != std::floor(value.number)) return std::nullopt;
  std::int64_t exact = 0;
  const std::string_view text = value.place.text();
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), exact);
  if (error == std::errc{} && stop == text.data() + text.size()) return exact;
  return static_cast<std::int64_t>(std::clamp(value.number, -too_large, too_large));
}

std::optional<std::int64_t> read_integer(Problems& problems, const JsonValue& value, const std::string& field,
                                         const Range& range) {
  const auto whole = whole_number(value);
  if (whole && range.holds(static_cast<double>(*whole))) return whole;
  const bool above = whole && static_cast<double>(*whole) > range.maximum;
  add_expected(problems, value, field, above ? "at most " + bound_text(range.maximum) : integer_text(range));
  return std::nullopt;
}

bool is_name(std::string_view text) {
  if (text.empty() || text.size() > 100 || text.front() == '.' || text.back() == '.') return false;
  if (text.find("..") != std::string_view::npos) return false;
  return std::all_of(text.begin(), text.end(), [](char letter) {
    return (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') || (letter >= '0' && letter <= '9') ||
           letter == '_' || letter == '-' || letter == '.';
  });
}

ObjectReader::ObjectReader(Problems& problems, const JsonValue& value, std::string field)
    : problems_(problems), value_(value), field_(std::move(field)) {
  if (is_object())
    add_duplicates();
  else
    add_expected(problems_, value_, field_, "an object: { ... }");
}

void ObjectReader::add_duplicates() {
  std::unordered_map<std::string_view, const JsonValue::Member*> seen;
  for (const JsonValue::Member& member : value_.members) {
    const auto [first, is_new] = seen.emplace(member.key, &member);
    if (is_new) continue;
    const SourceLocation before = first->second->place.location();
    problems_.add(member.place.location(), field_,
                  fmt::format("duplicate key '{}'; it stands at {}:{} already", printable(member.key), before.line,
                              before.column));
  }
}

std::string ObjectReader::field(std::string_view key) const {
  return field_.empty() ? std::string(key) : fmt::format("{}.{}", field_, key);
}

SourceLocation ObjectReader::where(std::string_view key) const {
  const JsonValue* value = value_.find(key);
  return value ? value->place.location() : where();
}

const JsonValue* ObjectReader::find(std::string_view key) {
  if (std::find(known_.begin(), known_.end(), key) == known_.end()) known_.emplace_back(key);
  return value_.find(key);
}

const JsonValue* ObjectReader::require(std::string_view key, const std::string& what) {
  const JsonValue* value = find(key);
  if (!value && is_object()) problems_.add(where(), field(key), fmt::format("missing; expected {}", what));
  return value;
}

void ObjectReader::boolean(std::string_view key, bool& target) {
  const JsonValue* value = find(key);
  if (!value) return;
  if (value->is(JsonValue::Kind::boolean))
    target = value->boolean;
  else
    add_expected(problems_, *value, field(key), "true or false");
}

void ObjectReader::string(std::string_view key, std::string& target) {
  const JsonValue* value = find(key);
  if (!value) return;
  if (value->is(JsonValue::Kind::string))
    target = value->string;
  else
    add_expected(problems_, *value, field(key), "a string");
}

void ObjectReader::name(std::string_view key, std::string& target) {
  const JsonValue* value = find(key);
  if (!value) return;
  if (value->is(JsonValue::Kind::string) && is_name(value->string))
    target = value->string;
  else
    add_expected(problems_, *value, field(key), name_text);
}

void ObjectReader::number(std::string_view key, double& target, double minimum, double maximum) {
  const JsonValue* value = find(key);
  if (!value) return;
  const Range range{minimum, maximum};
  if (value->is(JsonValue::Kind::number) && range.holds(value->number))
    target = value->number;
  else
    add_expected(problems_, *value, field(key), number_text(range));
}

const std::vector<JsonValue>* ObjectReader::list(std::string_view key, const std::string& what) {
  const JsonValue* value = find(key);
  if (!value) return nullptr;
  if (value->is(JsonValue::Kind::list)) return &value->list;
  add_expected(problems_, *value, field(key), what);
  return nullptr;
}

Attributes ObjectReader::attributes(const std::vector<AttributeSpec>& specs) {
  Attributes attributes;
  for (const AttributeSpec& spec : specs) {
    const JsonValue* value = find(spec.name);
    if (value) {
      attributes.set(spec.name, read_attribute(problems_, *value, field(spec.name), spec));
    } else if (std::holds_alternative<std::monostate>(spec.default_value)) {
      if (is_object()) problems_.add(where(), field(spec.name), "missing; expected " + attribute_text(spec));
    } else {
      attributes.set(spec.name, spec.default_value);
    }
  }
  return attributes;
}

void ObjectReader::finish() {
  for (const JsonValue::Member& member : value_.members) {
    if (std::find(known_.begin(), known_.end(), member.key) != known_.end()) continue;
    problems_.add(member.place.location(), field_,
                  problems_.full() ? "" : "unknown key " + with_suggestion(member.key, known_));
  }
}

}  // namespace lenet_flow

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "engine/graph/object_reader.h"

namespace lenet_flow {
namespace {

using Kind = JsonValue::Kind;

Range range_of(const AttributeSpec& spec) { return {spec.minimum, spec.maximum, spec.open_minimum, spec.open_maximum}; }

/// One attribute of one object: the value, and what to say where it is wrong.
class AttributeReader {
 public:
  AttributeReader(Problems& problems, const JsonValue& value, const std::string& field, const AttributeSpec& spec)
      : problems_(problems), value_(value), field_(field), spec_(spec), range_(range_of(spec)) {}

  AttributeValue read() {
    switch (spec_.kind) {
      case AttributeKind::integer: return integer();
      case AttributeKind::number: return number();
      case AttributeKind::boolean: return boolean();
      case AttributeKind::extent: return extent();
      case AttributeKind::padding: return padding();
      case AttributeKind::choice: return choice();
      case AttributeKind::numbers: return numbers();
    }
    return {};
  }

 private:
  AttributeValue wrong() { return wrong(attribute_text(spec_)); }
  AttributeValue wrong(const std::string& what) {
    add_expected(problems_, value_, field_, what);
    return {};
  }

  AttributeValue integer() {
    const auto read = read_integer(problems_, value_, field_, range_);
    return read ? AttributeValue(*read) : AttributeValue{};
  }

  AttributeValue number() {
    if (!value_.is(Kind::number) || !range_.holds(value_.number)) return wrong();
    return value_.number;
  }

  AttributeValue boolean() {
    if (!value_.is(Kind::boolean)) return wrong();
    return value_.boolean;
  }

  AttributeValue extent() {
    Extent extent;
    if (value_.is(Kind::list)) {
      if (value_.list.size() != 2) return wrong();
      const auto height = whole_number(value_.list[0]), width = whole_number(value_.list[1]);
      if (!height || !width) return wrong();
      extent = {*height, *width};
    } else {
      const auto both = whole_number(value_);
      if (!both) return wrong();
      extent = {*both, *both};
    }
    const auto height = static_cast<double>(extent.height), width = static_cast<double>(extent.width);
    if (std::min(height, width) < range_.minimum) return wrong();
    if (std::max(height, width) > range_.maximum) return wrong(fmt::format("at most {:.0f}", range_.maximum));
    return extent;
  }

  AttributeValue padding() {
    if (value_.is(Kind::string)) {
      if (value_.string == "same") return Padding{Padding::Rule::same, {}};
      if (value_.string == "valid") return Padding{Padding::Rule::valid, {}};
      return wrong();
    }
    const AttributeValue size = extent();
    if (!std::holds_alternative<Extent>(size)) return {};
    return Padding{Padding::Rule::size, std::get<Extent>(size)};
  }

  AttributeValue choice() {
    if (value_.is(Kind::string) &&
        std::find(spec_.choices.begin(), spec_.choices.end(), value_.string) != spec_.choices.end())
      return value_.string;
    if (!value_.is(Kind::string)) return wrong();
    const std::string nearest = nearest_name(value_.string, spec_.choices);
    problems_.add(value_.place.location(), field_,
                  fmt::format("expected {}, got {}{}", attribute_text(spec_), value_.shown(),
                              nearest.empty() ? "" : fmt::format("; did you mean '{}'?", nearest)));
    return {};
  }

  AttributeValue numbers() {
    std::vector<double> numbers;
    if (value_.is(Kind::list)) {
      if (value_.list.empty() || value_.list.size() > maximum_numbers) return wrong();
      for (const JsonValue& element : value_.list) {
        if (!element.is(Kind::number) || !range_.holds(element.number)) return wrong();
        numbers.push_back(element.number);
      }
    } else {
      if (!value_.is(Kind::number) || !range_.holds(value_.number)) return wrong();
      numbers.push_back(value_.number);
    }
    return numbers;
  }

  Problems& problems_;
  const JsonValue& value_;
  const std::string& field_;
  const AttributeSpec& spec_;
  const Range range_;
};

}  // namespace

std::string attribute_text(const AttributeSpec& spec) {
  const Range range = range_of(spec);
  switch (spec.kind) {
    case AttributeKind::integer: return integer_text(range);
    case AttributeKind::number: return number_text(range);
    case AttributeKind::boolean: return "true or false";
    case AttributeKind::extent: return integer_text(range) + " or a pair";
    case AttributeKind::padding: return integer_text(range) + ", a pair, \"same\" or \"valid\"";
    case AttributeKind::choice: return fmt::format("one of \"{}\"", fmt::join(spec.choices, "\", \""));
    case AttributeKind::numbers: return number_text(range) + " or a list of such numbers, one a channel";
  }
  return {};
}

AttributeValue read_attribute(Problems& problems, const JsonValue& value, const std::string& field,
                              const AttributeSpec& spec) {
  return AttributeReader(problems, value, field, spec).read();
}

}  // namespace lenet_flow

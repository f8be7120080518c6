#include "engine/graph/json_value.h"

#include <fmt/format.h>
#include <json/json.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <memory>

#include "engine/graph/json_scan.h"

namespace lenet_flow {
namespace {

std::unique_ptr<Json::CharReader> make_reader() {
  Json::CharReaderBuilder builder;
  builder["allowComments"] = false;  // JsonScan takes them out
  builder["failIfExtra"] = true;
  builder["stackLimit"] = 4 * deepest_json;  // JsonScan has looked already
  return std::unique_ptr<Json::CharReader>(builder.newCharReader());
}

/// What stands at `offset`, as a message shows it.
std::string token_at(std::string_view text, std::size_t offset) {
  if (offset >= text.size()) return "the end of the text";
  std::size_t end = offset + 1;
  if (text[offset] == '"') {
    end = std::min(text.find('"', end), text.size() - 1) + 1;
  } else if (std::string_view("{}[],:").find(text[offset]) == std::string_view::npos) {
    while (end < text.size() && !std::isspace(static_cast<unsigned char>(text[end])) &&
           std::string_view("{}[],:\"").find(text[end]) == std::string_view::npos)
      ++end;
  }
  return printable(text.substr(offset, end - offset));
}

/// jsoncpp's message in the words of all our messages.
std::string reworded(std::string_view message, const std::string& got) {
  struct Wording {
    std::string_view theirs, ours;
  };
  static constexpr Wording wordings[] = {
      {"Missing ',' or '}'", "expected ',' or '}}' after the value before, got {}"},
      {"Missing ',' or ']'", "expected ',' or ']' after the value before, got {}"},
      {"Missing ':'", "expected ':' right after the key, got {}"},
      {"Missing '}' or object member", "expected a key in double quotes or '}}', got {}"},
      {"Extra non-whitespace", "expected nothing after the first value, got {}"},
      {"Bad escape sequence", "expected an escape of JSON (\\n, \\t, \\\", \\\\, \\u0041 and so on) in {}"},
  };
  for (const Wording& wording : wordings)
    if (message.starts_with(wording.theirs)) return fmt::format(fmt::runtime(wording.ours), got);
  if (message.starts_with("Syntax error: value")) {
    const bool special = got == "NaN" || got == "Infinity" || got == "-Infinity" || got == "inf" || got == "nan";
    return fmt::format("expected a value, got {}{}", got, special ? "; numbers must be finite" : "");
  }
  if (message.ends_with("is not a number."))
    return fmt::format("expected a number that a double can hold, got {}", got);
  return printable(message, 200);
}

/// Adds the first error of jsoncpp's report: "* Line 3, Column 5\n  Missing ...\n" and more. Those behind it come from
/// its guess at where to go on.
void add_error(std::string_view report, const SourceText& source, Problems& problems) {
  static constexpr std::string_view line_mark = "* Line ", column_mark = ", Column ";
  std::size_t line = 1, column = 1;
  const auto read = [&](std::string_view mark, std::size_t& number) {
    const std::size_t at = report.find(mark);
    if (at == std::string_view::npos) return;
    report.remove_prefix(at + mark.size());
    std::from_chars(report.data(), report.data() + report.size(), number);
  };
  read(line_mark, line);
  read(column_mark, column);
  report.remove_prefix(std::min(report.size(), report.find('\n')));
  report.remove_prefix(std::min(report.size(), report.find_first_not_of("\n ")));
  const std::string_view message = report.substr(0, report.find('\n'));
  const std::size_t offset = source.offset(line, column);
  problems.add(source.at(offset), "", reworded(message, token_at(source.text(), offset)));
}

/// -?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)? (RFC 8259, section 6). jsoncpp takes 01, 1. and - too.
bool is_json_number(std::string_view text) {
  std::size_t at = 0;
  const auto digits = [&] {
    const std::size_t start = at;
    while (at < text.size() && text[at] >= '0' && text[at] <= '9') ++at;
    return at - start;
  };
  const auto skip = [&](std::string_view any) {
    const bool there = at < text.size() && any.find(text[at]) != std::string_view::npos;
    if (there) ++at;
    return there;
  };
  skip("-");
  if (skip("0")) {
    if (digits() > 0) return false;
  } else if (digits() == 0) {
    return false;
  }
  if (skip(".") && digits() == 0) return false;
  if (skip("eE")) {
    skip("+-");
    if (digits() == 0) return false;
  }
  return at == text.size();
}

/// Makes our tree from jsoncpp's values and the scan's keys.
class Converter {
 public:
  Converter(const SourceText& source, const JsonScan& scan, Problems& problems)
      : source_(source), scan_(scan), problems_(problems) {}

  JsonValue convert(const Json::Value& json) {
    JsonValue value;
    value.place = {&source_, static_cast<std::size_t>(json.getOffsetStart()),
                   static_cast<std::size_t>(json.getOffsetLimit())};
    switch (json.type()) {
      case Json::nullValue: break;
      case Json::booleanValue:
        value.kind = JsonValue::Kind::boolean;
        value.boolean = json.asBool();
        break;
      case Json::intValue:
      case Json::uintValue:
      case Json::realValue:
        value.kind = JsonValue::Kind::number;
        value.number = json.asDouble();
        if (!is_json_number(value.place.text()))
          problems_.add(value.place.location(), "",
                        fmt::format("expected a number as JSON writes it (0.5, -3, 1e-4), got {}", value.shown()));
        break;
      case Json::stringValue:
        value.kind = JsonValue::Kind::string;
        value.string = json.asString();
        break;
      case Json::arrayValue:
        value.kind = JsonValue::Kind::list;
        value.list.reserve(json.size());
        for (const Json::Value& element : json) value.list.push_back(convert(element));
        break;
      case Json::objectValue: convert_members(json, value); break;
    }
    return value;
  }

 private:
  void convert_members(const Json::Value& json, JsonValue& value) {
    value.kind = JsonValue::Kind::object;
    const std::vector<Place>& keys = scan_.keys(value.place.start);
    value.members.reserve(keys.size());
    for (std::size_t i = 0; i < keys.size(); ++i) {
      std::string key = decoded(keys[i].text());
      const Json::Value* member = json.find(key.data(), key.data() + key.size());
      // jsoncpp keeps the last of two values with one key: the value between this key and the next, or another's.
      const auto start = member ? static_cast<std::size_t>(member->getOffsetStart()) : 0;
      const bool own = start >= keys[i].limit && (i + 1 == keys.size() || start < keys[i + 1].start);
      JsonValue converted = own ? convert(*member) : JsonValue{};
      value.members.push_back({std::move(key), keys[i], std::move(converted)});
    }
  }

  static std::string decoded(std::string_view quoted) {
    if (quoted.find('\\') == std::string_view::npos) return std::string(quoted.substr(1, quoted.size() - 2));
    Json::Value string;
    std::string errors;
    make_reader()->parse(quoted.data(), quoted.data() + quoted.size(), &string, &errors);
    return string.isString() ? string.asString() : std::string(quoted);
  }

  const SourceText& source_;
  const JsonScan& scan_;
  Problems& problems_;
};

}  // namespace

const JsonValue* JsonValue::find(std::string_view key) const {
  for (auto member = members.rbegin(); member != members.rend(); ++member)
    if (member->key == key) return &member->value;
  return nullptr;
}

JsonValue* JsonValue::find(std::string_view key) {
  return const_cast<JsonValue*>(static_cast<const JsonValue*>(this)->find(key));
}

std::string JsonValue::shown() const {
  const std::string_view text = place.source ? place.text() : "null";
  const bool short_line = text.size() <= 30 && text.find_first_of("\r\n/") == std::string_view::npos;
  if (kind == Kind::object) return short_line && !text.empty() ? std::string(text) : "an object";
  if (kind == Kind::list) return short_line ? std::string(text) : "a list";
  if (kind == Kind::string && (text.empty() || text[0] != '"')) return fmt::format("\"{}\"", printable(text));
  return printable(text);
}

JsonValue parse_json(const SourceText& source, Problems& problems) {
  Problems here;
  const std::string& text = source.text();
  const auto give_up = [&]() -> JsonValue {
    problems.add(std::move(here));
    return {};
  };
  if (text.size() > largest_json_bytes)
    here.add(source.at(0), "", fmt::format("expected at most {} MiB of text", largest_json_bytes >> 20));
  if (here.empty()) check_encoding(source, here);
  if (!here.empty()) return give_up();
  const JsonScan scan(source, here);
  if (!here.empty()) return give_up();
  try {
    Json::Value json;
    std::string report;
    const std::string& plain = scan.text_without_comments();
    if (!make_reader()->parse(plain.data(), plain.data() + plain.size(), &json, &report)) {
      add_error(report, source, here);
      return give_up();
    }
    JsonValue value = Converter(source, scan, here).convert(json);
    if (here.empty()) return value;
  } catch (const Json::Exception& error) {
    here.add(source.at(0), "", printable(error.what(), 200));
  }
  return give_up();
}

}  // namespace lenet_flow

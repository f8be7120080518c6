#include "engine/graph/json_scan.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/graph/json_value.h"

namespace lenet_flow {

JsonScan::JsonScan(const SourceText& source, Problems& problems)
    : source_(source), text_(source.text()), plain_(text_), problems_(problems) {
  scan();
}

const std::vector<Place>& JsonScan::keys(std::size_t offset) const {
  static const std::vector<Place> none;
  const auto found = keys_.find(offset);
  return found == keys_.end() ? none : found->second;
}

void JsonScan::fail(std::size_t offset, std::string message) {
  problems_.add(source_.at(offset), "", std::move(message));
  failed_ = true;
}

void JsonScan::scan() {
  while (at_ < text_.size() && !failed_) {
    const char letter = text_[at_];
    switch (letter) {
      case '/': skip_comment(); continue;
      case '"': scan_string(); continue;
      case '{':
      case '[':
        if (!open(letter)) return;
        break;
      case '}':
      case ']':
        if (!open_.empty()) open_.pop_back();
        break;
      case ',':
        if (!open_.empty()) open_.back().at_key = open_.back().bracket == '{';
        if (++values_ > most_json_values)
          return fail(at_, fmt::format("expected at most {} values in the file", most_json_values));
        break;
      default: break;
    }
    ++at_;
  }
}

bool JsonScan::open(char bracket) {
  if (open_.size() >= static_cast<std::size_t>(deepest_json)) {
    fail(at_, fmt::format("expected at most {} lists and objects inside one another", deepest_json));
    return false;
  }
  if (++values_ > most_json_values) {
    fail(at_, fmt::format("expected at most {} values in the file", most_json_values));
    return false;
  }
  open_.push_back({bracket, at_, bracket == '{'});
  return true;
}

void JsonScan::skip_comment() {
  const std::string_view rest = std::string_view(text_).substr(at_);
  if (rest.starts_with("//")) {
    blank_out(std::min(text_.find_first_of("\r\n", at_), text_.size()));
  } else if (rest.starts_with("/*")) {
    const std::size_t end = text_.find("*/", at_ + 2);
    if (end == std::string::npos) return fail(at_, "this comment is never closed; expected a '*/'");
    blank_out(end + 2);
  } else {
    ++at_;
  }
}

void JsonScan::blank_out(std::size_t end) {
  for (; at_ < end; ++at_)
    if (text_[at_] != '\n' && text_[at_] != '\r') plain_[at_] = ' ';
}

void JsonScan::scan_string() {
  const std::size_t start = at_++;
  for (; at_ < text_.size() && text_[at_] != '"'; ++at_) {
    const auto byte = static_cast<unsigned char>(text_[at_]);
    if (byte == '\n' || byte == '\r') break;
    if (byte < 0x20)
      return fail(at_, fmt::format("expected no control character in a string, got \\x{:02x}; write it as an escape "
                                   "(\\t, \\n, \\u00{:02x})",
                                   byte, byte));
    if (byte == '\\') ++at_;
  }
  if (at_ >= text_.size() || text_[at_] != '"')
    return fail(start, "this string is not closed on its line; expected a '\"'");
  ++at_;
  if (open_.empty() || !open_.back().at_key) return;
  open_.back().at_key = false;
  keys_[open_.back().offset].push_back({&source_, start, at_});
}

}  // namespace lenet_flow

#include "engine/graph/source_text.h"

#include <fmt/format.h>

#include <algorithm>

namespace lenet_flow {
namespace {

/// The length of the UTF-8 character at the start of `text` (not empty), or 0 where there is none: overlong forms,
/// surrogates and numbers above U+10FFFF are none (RFC 3629, section 4).
std::size_t character_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
  const auto goes_on = [&](std::size_t i) { return (byte(i) & 0xC0) == 0x80; };
  const unsigned lead = byte(0);
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead <= 0xDF) return goes_on(1) ? 2 : 0;
  if (lead >= 0xE0 && lead <= 0xEF) {
    if ((lead == 0xE0 && byte(1) < 0xA0) || (lead == 0xED && byte(1) > 0x9F)) return 0;
    return goes_on(1) && goes_on(2) ? 3 : 0;
  }
  if (lead >= 0xF0 && lead <= 0xF4) {
    if ((lead == 0xF0 && byte(1) < 0x90) || (lead == 0xF4 && byte(1) > 0x8F)) return 0;
    return goes_on(1) && goes_on(2) && goes_on(3) ? 4 : 0;
  }
  return 0;
}

}  // namespace

SourceText SourceText::file(std::string path, std::string text) {
  SourceText source(std::move(path), std::move(text));
  const std::string& bytes = source.text_;
  source.line_starts_.push_back(0);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if ((static_cast<unsigned char>(bytes[i]) & 0xC0) == 0x80) source.continuations_.push_back(i);
    const bool ends_line = bytes[i] == '\n' || (bytes[i] == '\r' && (i + 1 == bytes.size() || bytes[i + 1] != '\n'));
    if (ends_line) source.line_starts_.push_back(i + 1);
  }
  return source;
}

SourceText SourceText::option(std::string option, std::string value) { return {std::move(option), std::move(value)}; }

SourceLocation SourceText::at(std::size_t offset) const {
  if (line_starts_.empty()) return {name_, 0, 0};
  const auto line = std::upper_bound(line_starts_.begin(), line_starts_.end(), offset);
  const std::size_t start = *(line - 1);
  const auto continuations = std::lower_bound(continuations_.begin(), continuations_.end(), offset) -
                             std::lower_bound(continuations_.begin(), continuations_.end(), start);
  return {name_, static_cast<int>(line - line_starts_.begin()),
          static_cast<int>(offset - start) - static_cast<int>(continuations) + 1};
}

std::size_t SourceText::offset(std::size_t line, std::size_t column_in_bytes) const {
  std::size_t start = 0;
  if (!line_starts_.empty()) start = line_starts_[std::clamp<std::size_t>(line, 1, line_starts_.size()) - 1];
  return std::min(text_.size(), start + std::max<std::size_t>(column_in_bytes, 1) - 1);
}

void check_encoding(const SourceText& source, Problems& problems) {
  const std::string_view text = source.text();
  if (text.starts_with("\xFE\xFF") || text.starts_with("\xFF\xFE"))
    return problems.add(source.at(0), "", "expected text in UTF-8, got UTF-16; save the file as UTF-8");
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t length = character_length(text.substr(i));
    const auto byte = static_cast<unsigned char>(text[i]);
    if (length == 0)
      return problems.add(source.at(i), "",
                          fmt::format("expected text in UTF-8, got the byte 0x{:02X}; save the file as UTF-8", byte));
    if (byte == 0) return problems.add(source.at(i), "", "expected text in UTF-8, got a null byte");
    i += length;
  }
}

}  // namespace lenet_flow

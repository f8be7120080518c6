#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "engine/graph/problems.h"

namespace lenet_flow {

/// A text that values come from, a file or the VALUE of an option, with the way from a byte's offset to its place.
class SourceText {
 public:
  /// A file's text, without its byte order mark.
  static SourceText file(std::string path, std::string text);
  /// The VALUE of an option; every place in it is the option itself ("--set training.epochs=-3").
  static SourceText option(std::string option, std::string value);

  const std::string& text() const { return text_; }
  /// Line and column (in characters) of the byte at `offset`, in O(log length).
  SourceLocation at(std::size_t offset) const;
  /// The offset of a byte given by its line and its column in bytes, both from 1.
  std::size_t offset(std::size_t line, std::size_t column_in_bytes) const;

 private:
  SourceText(std::string name, std::string text) : name_(std::move(name)), text_(std::move(text)) {}

  std::string name_, text_;
  std::vector<std::size_t> line_starts_;    ///< empty for an option
  std::vector<std::size_t> continuations_;  ///< offsets of bytes that go on a character (10xxxxxx in UTF-8)
};

/// A value or key of a text: its bytes are [start, limit).
struct Place {
  const SourceText* source = nullptr;
  std::size_t start = 0, limit = 0;

  SourceLocation location() const { return source ? source->at(start) : SourceLocation{}; }
  std::string_view text() const { return std::string_view(source->text()).substr(start, limit - start); }
};

/// Adds a problem where `source` is not UTF-8 text without null bytes.
void check_encoding(const SourceText& source, Problems& problems);

}  // namespace lenet_flow

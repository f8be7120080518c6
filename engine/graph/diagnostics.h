#pragma once

#include <cstddef>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace lenet_flow {

/// A place in a file, or an option of the command line that took its place.
struct SourceLocation {
  std::string file;  ///< "graphs/mine.json", or "--set training.epochs=-3"
  int line = 0;      ///< from 1; 0: no line (an option)
  int column = 0;    ///< from 1
};

/// One thing that is wrong with the input, or a warning.
struct Diagnostic {
  Diagnostic() = default;
  Diagnostic(SourceLocation where, std::string field, std::string message);

  SourceLocation where;
  std::string field;    ///< "layers.conv2.kernel"; may be empty
  std::string message;  ///< "expected a positive integer or a pair, got -5"

  /// "graphs/mine.json:14:17: layers.conv2.kernel: expected a positive integer or a pair, got -5"
  std::string text() const;
};

/// Bad input: one or more diagnostics, all that were found. what() is one line a diagnostic. Exit code 2.
class InputError : public std::runtime_error {
 public:
  /// `more`: how many were found beyond those (what() closes with "... and N more errors").
  explicit InputError(std::vector<Diagnostic> diagnostics, std::size_t more = 0);
  explicit InputError(const Diagnostic& diagnostic);
  /// One diagnostic without a place in a file.
  explicit InputError(const std::string& message);
  const std::vector<Diagnostic>& diagnostics() const { return diagnostics_; }

 private:
  std::vector<Diagnostic> diagnostics_;
};

/// Something that this machine lacks (a device, a data set). Exit code 3.
class MissingError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// The name of `known` nearest to `name` by edit distance (Levenshtein, upper and lower case alike), or empty where
/// none is near (more than a third of the name's length away).
std::string nearest_name(std::string_view name, std::span<const std::string> known);

/// "'kernal'; did you mean 'kernel'?", or "'kernal'; known: bias, kernel, stride" where nothing is near.
std::string with_suggestion(std::string_view name, std::span<const std::string> known);

/// Text of a file as a message may show it: control characters as \x1b, cut after about `longest` bytes.
std::string printable(std::string_view text, std::size_t longest = 60);

}  // namespace lenet_flow

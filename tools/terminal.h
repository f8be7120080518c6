#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace lenet_flow {

/// What one of the program's streams can show.
struct Terminal {
  bool interactive = false;  ///< a terminal that a live line can move on
  bool colour = false;
  bool unicode = false;  ///< the locale's characters are UTF-8
  int columns = 100;

  /// Of file descriptor `fd`. Colour only on a terminal, and not where NO_COLOR is set or TERM is "dumb".
  static Terminal of(int fd);
};

/// How text stands out.
enum class Style { bold, dim, red, yellow, green, blue, cyan };

/// `text` in that style where the terminal has colour, otherwise as it is.
std::string styled(const Terminal& terminal, Style style, std::string_view text);

/// Columns that UTF-8 text takes, escape sequences not counted; every character counts one.
std::size_t display_width(std::string_view text);
/// The first `columns` columns of `text` (no escape sequences in it), with "..." at the end where that cuts something.
std::string cut_to(std::string_view text, std::size_t columns);

/// Thrown by print() where standard output is closed or full: what was to be said is lost. Exit code 1.
class OutputError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Writes results to standard output at once. Throws OutputError.
void print(std::string_view text);
/// Writes progress, warnings and errors to standard error. Never throws.
void print_error(std::string_view text);

/// "lenet-flow: warning: ..." on standard error.
void print_warning(const std::string& line);

}  // namespace lenet_flow

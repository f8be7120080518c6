#include "tools/terminal.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace lenet_flow {
namespace {

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

/// By the names of the locale's environment: setlocale() would change how numbers are read and written.
bool locale_is_utf8() {
  std::string locale = environment("LC_ALL");
  if (locale.empty()) locale = environment("LC_CTYPE");
  if (locale.empty()) locale = environment("LANG");
  std::transform(locale.begin(), locale.end(), locale.begin(), [](unsigned char c) { return std::tolower(c); });
  return locale.find("utf-8") != std::string::npos || locale.find("utf8") != std::string::npos;
}

const char* escape(Style style) {
  switch (style) {
    case Style::bold: return "\033[1m";
    case Style::dim: return "\033[2m";
    case Style::red: return "\033[1;31m";
    case Style::yellow: return "\033[1;33m";
    case Style::green: return "\033[32m";
    case Style::blue: return "\033[34m";
    case Style::cyan: return "\033[36m";
  }
  return "";
}

bool continues_character(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

/// Returns the error's number, 0 where all was written.
int write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(fd, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return errno;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return 0;
}

}  // namespace

Terminal Terminal::of(int fd) {
  Terminal terminal;
  const std::string type = environment("TERM");
  terminal.interactive = ::isatty(fd) == 1 && type != "dumb" && !type.empty();
  terminal.colour = terminal.interactive && environment("NO_COLOR").empty();
  terminal.unicode = locale_is_utf8();
  winsize size{};
  if (::isatty(fd) == 1 && ::ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
    terminal.columns = size.ws_col;
  else if (const int columns = std::atoi(environment("COLUMNS").c_str()); columns > 0)
    terminal.columns = columns;
  terminal.columns = std::clamp(terminal.columns, 20, 1000);
  return terminal;
}

std::string styled(const Terminal& terminal, Style style, std::string_view text) {
  if (!terminal.colour || text.empty()) return std::string(text);
  return fmt::format("{}{}\033[0m", escape(style), text);
}

std::size_t display_width(std::string_view text) {
  std::size_t columns = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\033') {
      while (i < text.size() && text[i] != 'm') ++i;
    } else if (!continues_character(text[i])) {
      ++columns;
    }
  }
  return columns;
}

std::string cut_to(std::string_view text, std::size_t columns) {
  if (display_width(text) <= columns) return std::string(text);
  const std::size_t keep = columns > 3 ? columns - 3 : 0;
  std::size_t end = 0;
  for (std::size_t seen = 0; end < text.size(); ++end)
    if (!continues_character(text[end]) && seen++ == keep) break;
  return std::string(text.substr(0, end)) + std::string("...").substr(0, columns - keep);
}

void print(std::string_view text) {
  if (const int error = write_all(STDOUT_FILENO, text))
    throw OutputError(fmt::format("cannot write to standard output: {}", std::strerror(error)));
}

void print_error(std::string_view text) { (void)write_all(STDERR_FILENO, text); }

void print_warning(const std::string& line) {
  const Terminal terminal = Terminal::of(STDERR_FILENO);
  print_error(fmt::format("{} {}\n", styled(terminal, Style::yellow, "lenet-flow: warning:"), line));
}

}  // namespace lenet_flow

#include "engine/graph/diagnostics.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <numeric>

namespace lenet_flow {
namespace {

constexpr std::size_t longest_compared = 64;  // characters; longer names are nobody's slip of the finger
constexpr std::size_t most_listed = 24;       // names after "known:"

std::string folded(std::string_view name) {
  std::string lower(name);
  for (char& letter : lower) letter = static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
  return lower;
}

/// Levenshtein distance, or more than `limit` where it is more than that.
std::size_t edit_distance(std::string_view a, std::string_view b, std::size_t limit) {
  if ((a.size() > b.size() ? a.size() - b.size() : b.size() - a.size()) > limit) return limit + 1;
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    std::size_t least = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t substitution = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({substitution, row[j] + 1, row[j - 1] + 1});
      least = std::min(least, row[j]);
    }
    if (least > limit) return limit + 1;
  }
  return row.back();
}

std::string lines_of(const std::vector<Diagnostic>& diagnostics, std::size_t more) {
  std::string lines;
  for (const Diagnostic& diagnostic : diagnostics) {
    if (!lines.empty()) lines += '\n';
    lines += diagnostic.text();
  }
  if (more > 0) lines += fmt::format("\n... and {} more error{}", more, more == 1 ? "" : "s");
  return lines;
}

}  // namespace

Diagnostic::Diagnostic(SourceLocation where_it_is, std::string field_name, std::string what_is_wrong)
    : where(std::move(where_it_is)), field(std::move(field_name)), message(std::move(what_is_wrong)) {}

std::string Diagnostic::text() const {
  std::string line = where.file;
  if (where.line > 0) line += fmt::format(":{}:{}", where.line, where.column);
  for (const std::string& part : {field, message}) {
    if (part.empty()) continue;
    if (!line.empty()) line += ": ";
    line += part;
  }
  return line;
}

InputError::InputError(std::vector<Diagnostic> diagnostics, std::size_t more)
    : std::runtime_error(lines_of(diagnostics, more)), diagnostics_(std::move(diagnostics)) {}

InputError::InputError(const Diagnostic& diagnostic) : InputError(std::vector<Diagnostic>(1, diagnostic)) {}

InputError::InputError(const std::string& message) : InputError(Diagnostic({}, "", message)) {}

std::string nearest_name(std::string_view name, std::span<const std::string> known) {
  if (name.size() > longest_compared) return {};
  const std::string wanted = folded(name);
  std::size_t least = name.size() / 3 + 1;
  std::string nearest;
  for (const std::string& candidate : known) {
    if (candidate.size() > longest_compared) continue;
    const std::size_t distance = edit_distance(wanted, folded(candidate), least - 1);
    if (distance >= least) continue;
    least = distance;
    nearest = candidate;
    if (least == 0) break;
  }
  return nearest;
}

std::string with_suggestion(std::string_view name, std::span<const std::string> known) {
  const std::string quoted = fmt::format("'{}'", printable(name));
  if (const std::string nearest = nearest_name(name, known); !nearest.empty())
    return fmt::format("{}; did you mean '{}'?", quoted, nearest);
  if (known.empty()) return quoted;
  std::vector<std::string> listed(known.begin(), known.end());
  std::sort(listed.begin(), listed.end());
  std::string line = quoted + "; known: ";
  for (std::size_t i = 0; i < std::min(listed.size(), most_listed); ++i) line += (i > 0 ? ", " : "") + listed[i];
  if (listed.size() > most_listed) line += fmt::format(", ... ({} in all)", listed.size());
  return line;
}

std::string printable(std::string_view text, std::size_t longest) {
  std::string shown;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (shown.size() >= longest && (byte & 0xC0) != 0x80) return shown + "...";
    // U+0080 to U+009F are two bytes, 0xC2 and then 0x80 to 0x9F; terminals obey some of them.
    const bool control = byte < 0x20 || byte == 0x7F ||
                         (byte == 0xC2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xA0);
    if (control)
      shown += fmt::format("\\x{:02x}", byte);
    else if (!(i > 0 && static_cast<unsigned char>(text[i - 1]) == 0xC2 && byte >= 0x80 && byte < 0xA0))
      shown += text[i];
  }
  return shown;
}

}  // namespace lenet_flow

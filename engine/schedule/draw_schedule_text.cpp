#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "engine/schedule/draw_rows.h"
#include "engine/schedule/draw_schedule.h"

namespace lenet_flow {
namespace {

constexpr int widest_label = 20;  // columns for the names of stages

/// ANSI colours: blue, cyan, yellow, green, magenta behind dark or light text.
const char* colour(ActionKind kind) {
  constexpr const char* codes[action_kinds] = {"\x1b[44;97m", "\x1b[46;30m", "\x1b[43;30m", "\x1b[42;30m",
                                               "\x1b[45;97m"};
  return codes[static_cast<int>(kind)];
}
constexpr const char* plain = "\x1b[0m";

bool begins_character(char c) { return (static_cast<unsigned char>(c) & 0xC0u) != 0x80u; }

/// UTF-8 characters of a text; each is taken for one column.
int columns_of(const std::string& text) {
  return static_cast<int>(std::count_if(text.begin(), text.end(), begins_character));
}

/// The text in exactly `columns`: filled with spaces, or cut with a mark.
std::string fitted(const std::string& text, int columns) {
  const int has = columns_of(text);
  if (has <= columns) return text + std::string(static_cast<std::size_t>(columns - has), ' ');
  std::string cut;
  int kept = 0;
  for (const char c : text) {
    if (begins_character(c) && ++kept >= columns) break;
    cut += c;
  }
  return cut + "~";
}

/// How time becomes columns.
struct Scale {
  double columns_per_time = 1;
  int columns = 0;   ///< that are drawn
  bool cut = false;  ///< the end is not drawn

  int column(double time) const { return static_cast<int>(std::lround(std::min(time * columns_per_time, 1e6))); }
};

/// As wide as labels want, or as narrow as `available` makes it, but a usual action gets a column.
Scale scale_for(const Simulation& simulation, int available) {
  int most = 0;
  for (const auto& device : simulation.devices)
    for (const TimedAction& timed : device) most = std::max(most, timed.action.micro_batch);
  const double usual = usual_duration(simulation);
  const double label = static_cast<double>(std::to_string(most).size()) + 1;  // a letter, or with colours a gap
  Scale scale;
  scale.columns_per_time = label / usual;
  if (simulation.length > 0)
    scale.columns_per_time = std::min(scale.columns_per_time, (available - 1) / simulation.length);
  if (scale.columns_per_time * usual < 1) scale.columns_per_time = 1 / usual;
  scale.columns = scale.column(simulation.length) + 1;  // one for an update at the end
  scale.cut = scale.columns > available;
  scale.columns = std::min(scale.columns, available);
  return scale;
}

/// One column: what is printed, and for which action.
struct Cell {
  char character = '.';
  const TimedAction* timed = nullptr;
};

std::vector<Cell> cells_of(const DrawnRow& row, const Scale& scale, bool colours) {
  std::vector<Cell> cells(static_cast<std::size_t>(scale.columns));
  const auto inside = [&](int column) { return column < scale.columns; };
  for (const TimedAction& timed : row.actions) {
    const int first = scale.column(timed.start), end = scale.column(timed.end);
    std::string label = timed.action.kind == ActionKind::update ? "" : std::to_string(timed.action.micro_batch);
    if (!colours) label.insert(label.begin(), letter(timed.action.kind));
    if (static_cast<int>(label.size()) > end - first) label.resize(colours ? 0 : 1);  // no half numbers
    for (int column = first; column < end && inside(column); ++column) {
      const auto at = static_cast<std::size_t>(column - first);
      cells[static_cast<std::size_t>(column)] = {at < label.size() ? label[at] : (colours ? ' ' : '-'), &timed};
    }
  }
  for (const TimedAction& timed : row.actions) {  // updates that take no time, where nothing else is
    const int column = scale.column(timed.start);
    if (timed.action.kind == ActionKind::update && column == scale.column(timed.end) && inside(column) &&
        cells[static_cast<std::size_t>(column)].timed == nullptr)
      cells[static_cast<std::size_t>(column)] = {'U', &timed};
  }
  return cells;
}

std::string printed(const std::vector<Cell>& cells, bool colours) {
  std::string text;
  const TimedAction* before = nullptr;
  for (const Cell& cell : cells) {
    if (colours && cell.timed != before) text += cell.timed == nullptr ? plain : colour(cell.timed->action.kind);
    before = cell.timed;
    text += cell.character;
  }
  if (colours) text += plain;
  return text;
}

std::string legend(const Simulation& simulation, const Scale& scale, bool colours) {
  std::string text;
  for (const ActionKind kind : drawn_kinds(simulation))
    text += colours ? fmt::format("{} {} {} {}  ", colour(kind), letter(kind), plain, meaning(kind))
                    : fmt::format("{} {}  ", letter(kind), meaning(kind));
  text += fmt::format(". idle\nlength {:.6g}, bubble {:.1f} %", simulation.length, 100 * simulation.bubble);
  if (scale.cut)
    text += fmt::format("; cut at {:.6g} (>), the rest does not fit", scale.columns / scale.columns_per_time);
  return text + "\n";
}

}  // namespace

std::string draw_schedule_text(const Simulation& simulation, const ScheduleShape& shape,
                               const std::vector<std::string>& stage_names, int width, bool colours) {
  const std::vector<DrawnRow> rows = drawn_rows(simulation, shape, stage_names);
  int label = 1;
  for (const DrawnRow& row : rows) label = std::max(label, std::min(columns_of(row.label), widest_label));
  const int available = std::max(8, width - label - 2);  // a space, and the mark where it is cut
  const Scale scale = scale_for(simulation, available);
  std::string text;
  for (const DrawnRow& row : rows) {
    text += fitted(row.label, label) + " " + printed(cells_of(row, scale, colours), colours);
    text += scale.cut ? ">\n" : "\n";
  }
  return text + legend(simulation, scale, colours);
}

}  // namespace lenet_flow

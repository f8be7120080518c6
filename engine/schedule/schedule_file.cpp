#include "engine/schedule/schedule_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <map>
#include <optional>
#include <sstream>
#include <tuple>

#include "engine/graph/diagnostics.h"
#include "engine/schedule/generators.h"
#include "engine/schedule/simulate.h"

namespace lenet_flow {
namespace {

constexpr std::size_t most_errors = 100;             // shown of one file
constexpr std::uintmax_t largest_file = 64u << 20u;  // bytes; 16 million actions
constexpr std::string_view overlap = "OVERLAP_F_B";  // PyTorch's name for F and B that run at the same time

/// A place in the file, from 1.
struct Place {
  int line = 0, column = 0;
};

std::string_view trimmed(std::string_view text, int& column) {
  const std::size_t first = std::min(text.find_first_not_of(" \t\r"), text.size());
  column += static_cast<int>(first);
  text.remove_prefix(first);
  return text.substr(0, text.find_last_not_of(" \t\r") + 1);
}

/// A cell as it can be shown: short, printable.
std::string shown(std::string_view cell) { return fmt::format("'{}'", printable(cell, 40)); }

std::optional<ActionKind> kind_of(char c) {
  for (int kind = 0; kind < action_kinds; ++kind)
    if (letter(static_cast<ActionKind>(kind)) == c) return static_cast<ActionKind>(kind);
  return {};
}

/// "0F2" or "0U"; nothing where the text is no action.
std::optional<Action> parse_action(std::string_view text) {
  Action action;
  const char* const end = text.data() + text.size();
  const auto stage = std::from_chars(text.data(), end, action.stage);
  if (text.starts_with('-') || stage.ec != std::errc() || stage.ptr == end) return {};
  const std::optional<ActionKind> kind = kind_of(*stage.ptr);
  if (!kind) return {};
  action.kind = *kind;
  const char* const rest = stage.ptr + 1;
  if (action.kind == ActionKind::update) return rest == end ? std::optional(action) : std::nullopt;
  const auto micro_batch = std::from_chars(rest, end, action.micro_batch);
  if (rest == end || *rest == '-' || micro_batch.ec != std::errc() || micro_batch.ptr != end) return {};
  return action;
}

class Parser {
 public:
  Parser(const std::string& path, const ScheduleShape& shape)
      : path_(path), shape_(shape), schedule_(static_cast<std::size_t>(shape.devices)) {}

  Schedule parse(std::string_view text) {
    if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
    std::vector<std::string_view> lines;
    while (!text.empty()) {
      const std::size_t end = std::min(text.find('\n'), text.size());
      lines.push_back(text.substr(0, end));
      text.remove_prefix(std::min(end + 1, text.size()));
    }
    const auto blank = [](std::string_view line) { return line.find_first_not_of(" \t\r") == std::string_view::npos; };
    const auto devices = static_cast<std::size_t>(shape_.devices);
    while (lines.size() > devices && blank(lines.back())) lines.pop_back();
    while (lines.size() < devices && !needs_line(lines.size())) lines.emplace_back();
    if (lines.size() != devices)
      error({static_cast<int>(std::min(lines.size(), devices)) + 1, 1},
            fmt::format("the schedule has {} lines, one a device would be {}", lines.size(), devices));
    for (std::size_t line = 0; line < std::min(lines.size(), devices); ++line) parse_line(line, lines[line]);
    if (lines.size() == devices) find_missing(lines);
    finish();
    return std::move(schedule_);
  }

 private:
  void error(Place place, std::string message) {
    errors_.push_back({{path_, place.line, place.column}, "", std::move(message)});
  }

  /// False for a device that no stage runs on; its line may be left out at the end of the file.
  bool needs_line(std::size_t device) const {
    for (const auto& devices : shape_.devices_of_stage)
      if (std::find(devices.begin(), devices.end(), static_cast<int>(device)) != devices.end()) return true;
    return false;
  }

  void parse_line(std::size_t device, std::string_view line) {
    int column = 1;
    for (;;) {
      const std::size_t end = std::min(line.find(','), line.size());
      parse_cell(device, line.substr(0, end), column);
      if (end == line.size()) return;
      line.remove_prefix(end + 1);
      column += static_cast<int>(end) + 1;
    }
  }

  void parse_cell(std::size_t device, std::string_view cell, int column) {
    cell = trimmed(cell, column);
    if (cell.empty()) return;  // idle
    if (!cell.starts_with('(')) return add(device, cell, column);
    const std::size_t close = cell.find(')');
    if (close == std::string_view::npos || cell.substr(close + 1) != overlap)
      return error({static_cast<int>(device) + 1, column},
                   fmt::format("expected actions at the same time as (0F1;1B0){}, got {}", overlap, shown(cell)));
    std::string_view inner = cell.substr(1, close - 1);
    ++column;
    for (;;) {
      const std::size_t end = std::min(inner.find(';'), inner.size());
      int at = column;
      const std::string_view action = trimmed(inner.substr(0, end), at);
      add(device, action, at);
      if (end == inner.size()) return;
      inner.remove_prefix(end + 1);
      column += static_cast<int>(end) + 1;
    }
  }

  void add(std::size_t device, std::string_view text, int column) {
    const Place place{static_cast<int>(device) + 1, column};
    const std::optional<Action> action = parse_action(text);
    if (!action) return error(place, no_action(text));
    if (const std::string reason = not_there(*action); !reason.empty())
      return error(place, fmt::format("{}: {}", shown(text), reason));
    const auto [before, is_new] = places_.emplace(key(*action), place);
    if (!is_new)
      return error(place, fmt::format("{} a second time; the first is at {}:{}", action->text(), before->second.line,
                                      before->second.column));
    if (shape_.device_of(*action) != static_cast<int>(device))
      return error(place, fmt::format("{} runs on device {}, which is line {}", action->text(),
                                      shape_.device_of(*action), shape_.device_of(*action) + 1));
    if (const std::optional<Place> other = other_form(*action))
      return error(place, fmt::format("{}: a micro-batch has either B, or I and W; the other is at {}:{}",
                                      action->text(), other->line, other->column));
    schedule_[device].push_back(*action);
  }

  /// Why a cell is no action, with what would be one.
  static std::string no_action(std::string_view text) {
    for (const std::string_view other : {"SEND", "RECV", "SHARD", "REDUCE_GRAD"})
      if (text.find(other) != std::string_view::npos)
        return fmt::format("{} is communication; expected PyTorch's compute_only format, actions alone", shown(text));
    std::string upper(text);
    std::transform(upper.begin(), upper.end(), upper.begin(),
                   [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; });
    const std::string meant =
        upper != text && parse_action(upper) ? fmt::format("; did you mean '{}'?", upper) : std::string();
    return fmt::format("expected an action, its stage, F, I, W or B and its micro-batch, as 0F2, or 0U, got {}{}",
                       shown(text), meant);
  }

  /// Why the shape has no such action; empty where it has.
  std::string not_there(const Action& action) const {
    if (action.stage >= shape_.stages())
      return fmt::format("there is no stage {}, the last is {}", action.stage, shape_.stages() - 1);
    if (action.micro_batch >= shape_.micro_batches)
      return fmt::format("there is no micro-batch {}, the last is {}", action.micro_batch, shape_.micro_batches - 1);
    if (!shape_.training && action.kind != ActionKind::forward) return "there is nothing but F without training";
    return "";
  }

  /// Where B stands for an I or W, and I or W for a B.
  std::optional<Place> other_form(const Action& action) const {
    using enum ActionKind;
    for (const ActionKind kind : {input_gradients, parameter_gradients, backward}) {
      const bool other = (kind == backward) != (action.kind == backward);
      const bool gradients = action.kind != forward && action.kind != update;
      const auto found = places_.find(key({action.stage, kind, action.micro_batch}));
      if (gradients && other && found != places_.end()) return found->second;
    }
    return {};
  }

  /// One error a line for the actions that it lacks.
  void find_missing(const std::vector<std::string_view>& lines) {
    std::map<int, std::vector<std::string>> missing;  // by device
    const auto there = [&](const Action& action) { return places_.contains(key(action)); };
    const auto want = [&](const Action& action, const std::string& text) {
      if (!there(action)) missing[shape_.device_of(action)].push_back(text);
    };
    for (int stage = 0; stage < shape_.stages(); ++stage)
      for (int i = 0; i < shape_.micro_batches; ++i) {
        using enum ActionKind;
        const auto of = [&](ActionKind kind) { return Action{stage, kind, i}; };
        want(of(forward), of(forward).text());
        if (!shape_.training || there(of(backward))) continue;
        const bool split = there(of(input_gradients)) || there(of(parameter_gradients));
        if (!split)
          want(of(backward), fmt::format("{} (or {} and {})", of(backward).text(), of(input_gradients).text(),
                                         of(parameter_gradients).text()));
        if (split) want(of(input_gradients), of(input_gradients).text());
        if (split) want(of(parameter_gradients), of(parameter_gradients).text());
      }
    for (const auto& [device, texts] : missing) {
      constexpr std::size_t most = 8;
      std::string list = texts[0];
      for (std::size_t i = 1; i < std::min(texts.size(), most); ++i) list += ", " + texts[i];
      if (texts.size() > most) list += fmt::format(" and {} more", texts.size() - most);
      std::string_view line = lines[static_cast<std::size_t>(device)];
      line = line.substr(0, line.find_last_not_of(" \t\r") + 1);
      error({device + 1, static_cast<int>(line.size()) + 1}, fmt::format("device {} lacks {}", device, list));
    }
  }

  /// Adds updates and looks for deadlocks; throws what was found.
  void finish() {
    if (errors_.empty()) {
      schedule_ = with_updates(std::move(schedule_), shape_);
      for (const std::string& problem : check_schedule(schedule_, shape_, unbounded()))
        error(place_of(problem), problem);
    }
    if (errors_.empty()) return;
    std::stable_sort(errors_.begin(), errors_.end(), [](const Diagnostic& one, const Diagnostic& other) {
      return std::tie(one.where.line, one.where.column) < std::tie(other.where.line, other.where.column);
    });
    const std::size_t more = errors_.size() - std::min(errors_.size(), most_errors);
    errors_.resize(errors_.size() - more);
    throw InputError(std::move(errors_), more);
  }

  /// Where the first action that a deadlock names stands in the file; an update that was added has no place.
  Place place_of(const std::string& deadlock) const {
    std::istringstream words(deadlock);
    for (std::string word; words >> word;)
      if (const std::optional<Action> action = parse_action(std::string_view(word).substr(0, word.find(','))))
        if (const auto found = places_.find(key(*action)); found != places_.end()) return found->second;
    return {1, 1};
  }

  using Key = std::tuple<int, ActionKind, int>;
  static Key key(const Action& action) { return {action.stage, action.kind, action.micro_batch}; }

  const std::string& path_;
  const ScheduleShape& shape_;
  Schedule schedule_;
  std::map<Key, Place> places_;  ///< of every action that the file has, on a wrong line too
  std::vector<Diagnostic> errors_;
};

}  // namespace

std::string schedule_csv(const Schedule& schedule, const ScheduleShape& shape) {
  Schedule bare = schedule;
  for (auto& list : bare) std::erase_if(list, [](const Action& action) { return action.kind == ActionKind::update; });
  const Schedule usual = with_updates(bare, shape);
  std::string text;
  for (std::size_t device = 0; device < schedule.size(); ++device) {
    text += schedule_text(usual[device] == schedule[device] ? bare[device] : schedule[device]);
    text += '\n';
  }
  return text;
}

Schedule parse_schedule_csv(const std::string& text, const std::string& path, const ScheduleShape& shape) {
  return Parser(path, shape).parse(text);
}

Schedule read_schedule_csv(const std::filesystem::path& path, const ScheduleShape& shape) {
  const auto unreadable = [&](const std::string& why) {
    Diagnostic problem;
    problem.where.file = path.string();
    problem.message = "cannot read the schedule: " + why;
    return InputError(problem);
  };
  std::error_code failure;
  if (std::filesystem::is_directory(path, failure)) throw unreadable("it is a folder");
  std::ifstream file(path, std::ios::binary);
  if (!file) throw unreadable(std::filesystem::exists(path, failure) ? "permission denied" : "no such file");
  std::string text(largest_file + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(file.gcount()));
  if (file.bad()) throw unreadable("reading failed");
  if (text.size() > largest_file) throw unreadable("it is larger than 64 MiB");
  return parse_schedule_csv(text, path.string(), shape);
}

}  // namespace lenet_flow

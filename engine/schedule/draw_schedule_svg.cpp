#include <fmt/format.h>

#include <algorithm>

#include "engine/schedule/draw_rows.h"
#include "engine/schedule/draw_schedule.h"

namespace lenet_flow {
namespace {

// Pixels.
constexpr double row_height = 24, row_gap = 4, top = 34, character = 7.2, bold_character = 7.9, margin = 12;
constexpr double usual_width = 22, least_width = 480, most_width = 6000;

/// Colours that stay apart for all common kinds of colour blindness (Okabe and Ito, 2008), darker text on each; page
/// and text follow the reader's light or dark mode.
constexpr const char* style = R"(<style>
text { font: 12px ui-monospace, Consolas, Menlo, monospace; fill: #1a1a1a }
.caption { font-weight: bold }
.page { fill: #ffffff } .idle { fill: #ececec }
rect.F { fill: #56b4e9 } rect.I { fill: #f0e442 } rect.W { fill: #009e73 } rect.B { fill: #e69f00 } rect.U { fill: #cc79a7 }
.action { stroke: #ffffff; stroke-width: 0.5 } .odd { opacity: 0.7 }
text.on { fill: #000000; text-anchor: middle; pointer-events: none }
@media (prefers-color-scheme: dark) {
  text { fill: #e6e6e6 } .page { fill: #161616 } .idle { fill: #303030 } .action { stroke: #161616 }
}
@media print {
  text { fill: #000000 } .page { fill: #ffffff } .idle { fill: #ececec } .action { stroke: #ffffff }
  rect { print-color-adjust: exact; -webkit-print-color-adjust: exact }
}
</style>
)";

std::string escaped(const std::string& text) {
  std::string safe;
  for (const char c : text) {
    switch (c) {
      case '&': safe += "&amp;"; break;
      case '<': safe += "&lt;"; break;
      case '>': safe += "&gt;"; break;
      case '"': safe += "&quot;"; break;
      default: safe += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;  // XML 1.0 has no control characters
    }
  }
  return safe;
}

/// An action's rectangle with its hover title, and its micro-batch's number where that fits.
std::string drawn(const TimedAction& timed, const std::string& label, double left, double y, double scale) {
  // Updates often take no time; they are drawn two pixels wide.
  const double x = left + timed.start * scale, width = std::max((timed.end - timed.start) * scale, 2.0);
  const bool update = timed.action.kind == ActionKind::update;
  std::string text = fmt::format(
      R"(<rect class="action {}{}" x="{:.2f}" y="{:.2f}" width="{:.2f}" height="{}"><title>{}: {} of batch {}, {:.6g} to {:.6g}</title></rect>)"
      "\n",
      letter(timed.action.kind), timed.batch % 2 == 1 ? " odd" : "", x, y, width, row_height, escaped(label),
      timed.action.text(), timed.batch, timed.start, timed.end);
  const std::string number = std::to_string(timed.action.micro_batch);
  if (!update && width >= static_cast<double>(number.size()) * character + 1)
    text += fmt::format(R"(<text class="on" x="{:.2f}" y="{:.2f}">{}</text>)"
                        "\n",
                        x + width / 2, y + row_height / 2 + 4, number);
  return text;
}

/// Moves `x` to the legend's end.
std::string legend(const Simulation& simulation, double& x, double y) {
  std::string text;
  const auto entry = [&](const std::string& kind, const std::string& words) {
    text += fmt::format(R"(<rect class="{}" x="{:.2f}" y="{:.2f}" width="14" height="14"/>)"
                        R"(<text x="{:.2f}" y="{:.2f}">{}</text>)"
                        "\n",
                        kind, x, y, x + 19, y + 11.5, words);
    x += 34 + static_cast<double>(words.size()) * character;
  };
  for (const ActionKind kind : drawn_kinds(simulation))
    entry(std::string(1, letter(kind)), fmt::format("{} {}", letter(kind), meaning(kind)));
  entry("idle", "idle");
  return text;
}

}  // namespace

std::string draw_schedule_svg(const Simulation& simulation, const ScheduleShape& shape,
                              const std::vector<std::string>& stage_names, const std::string& caption) {
  const std::vector<DrawnRow> rows = drawn_rows(simulation, shape, stage_names);
  std::size_t longest = 1;
  for (const DrawnRow& row : rows) longest = std::max(longest, row.label.size());
  const double left = margin + static_cast<double>(longest) * character + 8;
  const double units = std::max(simulation.length / usual_duration(simulation), 1.0);
  const double time_width = std::clamp(units * usual_width, least_width, most_width);
  const double scale = simulation.length > 0 ? time_width / simulation.length : 1;
  const double bottom = top + static_cast<double>(rows.size()) * (row_height + row_gap);
  double legend_end = left;
  const std::string legend_text = legend(simulation, legend_end, bottom + 8);
  const double caption_end = margin + static_cast<double>(caption.size()) * bold_character;
  const double width = std::max({left + time_width + 4, legend_end, caption_end}) + margin;
  const double height = bottom + 34;

  std::string svg = fmt::format(
      R"(<svg xmlns="http://www.w3.org/2000/svg" width="{0:.0f}" height="{1:.0f}" viewBox="0 0 {0:.0f} {1:.0f}" role="img">)"
      "\n",
      width, height);
  svg += fmt::format("<title>{}</title>\n", escaped(caption)) + style;
  svg += fmt::format(R"(<rect class="page" width="{:.0f}" height="{:.0f}"/>)"
                     "\n",
                     width, height);
  svg += fmt::format(R"(<text class="caption" x="{}" y="20">{}{}length {:.6g}, bubble {:.1f} %</text>)"
                     "\n",
                     margin, escaped(caption), caption.empty() ? "" : ": ", simulation.length, 100 * simulation.bubble);
  double y = top;
  for (const DrawnRow& row : rows) {
    svg += fmt::format(R"(<text x="{}" y="{:.2f}">{}</text>)"
                       "\n"
                       R"(<rect class="idle" x="{:.2f}" y="{:.2f}" width="{:.2f}" height="{}"/>)"
                       "\n",
                       margin, y + row_height / 2 + 4, escaped(row.label), left, y, time_width, row_height);
    for (const TimedAction& timed : row.actions) svg += drawn(timed, row.label, left, y, scale);
    y += row_height + row_gap;
  }
  return svg + legend_text + "</svg>\n";
}

}  // namespace lenet_flow

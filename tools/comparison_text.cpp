#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "engine/training/version.h"
#include "tools/comparison.h"
#include "tools/json_text.h"
#include "tools/table.h"
#include "tools/units.h"

namespace lenet_flow {
namespace {

using Align = Table::Align;
using Better = FigureComparison::Better;

/// States that are below this share on both sides are left out.
constexpr double nearly_nothing = 0.005;

std::string runs_text(const Comparison& comparison) {
  if (comparison.runs_a != comparison.runs_b)
    return fmt::format("{} and {} runs", comparison.runs_a, comparison.runs_b);
  return comparison.runs_a == 1 ? "one run each" : fmt::format("{} runs each", comparison.runs_a);
}

/// Intervals need two runs of each.
bool has_intervals(const Comparison& comparison) {
  return std::any_of(comparison.figures.begin(), comparison.figures.end(),
                     [](const FigureComparison& figure) { return figure.low.has_value(); });
}

std::string value_text(const FigureComparison& figure, double value) {
  if (figure.share) return percent_text(value, 2);
  if (figure.name == "images/s") return count_text(std::llround(value));
  if (figure.name == "memory of devices") return bytes_text(static_cast<std::uint64_t>(value));
  return number_text(value);
}

std::string change_text(const FigureComparison& figure) {
  const auto one = [&](double value) {
    if (figure.ratio) return fmt::format("{:.2f}x", value);
    return figure.share ? fmt::format("{:+.2f} points", 100 * value) : fmt::format("{:+.4f}", value);
  };
  const auto bound = [&](double value) {
    if (figure.ratio) return fmt::format("{:.2f}", value);
    return figure.share ? fmt::format("{:+.2f}", 100 * value) : fmt::format("{:+.4f}", value);
  };
  return figure.low ? fmt::format("{} [{}, {}]", one(figure.change), bound(*figure.low), bound(*figure.high))
                    : one(figure.change);
}

std::string meaning_of(const FigureComparison& figure, const Comparison& comparison) {
  if (!figure.low) return "no verdict";
  if (*figure.low == figure.none() && *figure.high == figure.none()) return "equal";
  if (!figure.different()) return fmt::format("none that {} can show", runs_text(comparison));
  const bool more = figure.change > figure.none();
  if (figure.better == Better::neither) return more ? "B has more" : "B has less";
  return more == (figure.better == Better::higher) ? "B is better" : "A is better";
}

std::string figure_table(const Comparison& comparison, bool all, const Terminal& terminal) {
  Table table({{"figure", Align::left}, {"A"}, {"B"}, {"B to A [95%]", Align::left}, {"difference", Align::left}});
  for (const FigureComparison& figure : comparison.figures) {
    const bool is_state = figure.better == Better::neither;
    if (!all && is_state && std::max(figure.a, figure.b) < nearly_nothing) continue;
    table.add_row({figure.name, value_text(figure, figure.a), value_text(figure, figure.b), change_text(figure),
                   meaning_of(figure, comparison)});
  }
  return table.text(terminal);
}

std::string placement_table(const Comparison& comparison, const Terminal& terminal) {
  if (comparison.placement.empty()) return "placement: the same\n";
  Table table({{"layer", Align::left}, {"A", Align::left}, {"B", Align::left}});
  for (const PlacementDifference& difference : comparison.placement)
    table.add_row(
        {difference.layer, difference.a.empty() ? "-" : difference.a, difference.b.empty() ? "-" : difference.b});
  return table.text(terminal);
}

}  // namespace

std::string verdict(const Comparison& comparison) {
  const auto speed = std::find_if(comparison.figures.begin(), comparison.figures.end(),
                                  [](const FigureComparison& figure) { return figure.name == "images/s"; });
  if (speed == comparison.figures.end()) return "the results do not say how fast they were";
  if (!has_intervals(comparison))
    return fmt::format("{}: no verdict; B to A {:.2f}x, which may be chance", runs_text(comparison), speed->change);
  if (!speed->different())
    return fmt::format("no difference in speed that {} can show: B to A {:.2f}x [{:.2f}, {:.2f}]",
                       runs_text(comparison), speed->change, *speed->low, *speed->high);
  const bool b = speed->change > 1;
  const auto [low, high] = b ? std::pair(*speed->low, *speed->high) : std::pair(1 / *speed->high, 1 / *speed->low);
  return fmt::format("{} is faster by {:.2f}x [{:.2f}, {:.2f}]", b ? "B" : "A", b ? speed->change : 1 / speed->change,
                     low, high);
}

std::string comparison_text(const Comparison& comparison, bool all, const Terminal& terminal) {
  std::string text = fmt::format("A  {}\nB  {}\n{}{}\n\n", comparison.a, comparison.b, runs_text(comparison),
                                 comparison.paired ? ", interleaved" : "");
  text += figure_table(comparison, all, terminal) + "\n" + placement_table(comparison, terminal);
  for (const std::string& remark : comparison.remarks) text += fmt::format("not alike: {}\n", remark);
  return text + "\n" + styled(terminal, Style::bold, verdict(comparison)) + "\n";
}

std::string comparison_json(const Comparison& comparison) {
  Json::Value json;
  json["schema"] = "lenet-flow.compare/1";
  json["version"] = LENET_FLOW_VERSION;
  json["a"] = comparison.a;
  json["b"] = comparison.b;
  json["runs_a"] = Json::UInt64{comparison.runs_a};
  json["runs_b"] = Json::UInt64{comparison.runs_b};
  json["paired"] = comparison.paired;
  Json::Value& figures = json["figures"] = Json::Value(Json::arrayValue);
  for (const FigureComparison& figure : comparison.figures) {
    Json::Value one;
    one["name"] = figure.name;
    one["a"] = json_number(figure.a);
    one["b"] = json_number(figure.b);
    one["as"] = figure.ratio ? "ratio" : "difference";
    one["change"] = json_number(figure.change);
    one["low"] = figure.low ? json_number(*figure.low) : Json::Value();
    one["high"] = figure.high ? json_number(*figure.high) : Json::Value();
    one["different"] = figure.different();
    figures.append(one);
  }
  Json::Value& placement = json["placement"] = Json::Value(Json::arrayValue);
  for (const PlacementDifference& difference : comparison.placement) {
    Json::Value one;
    one["layer"] = difference.layer;
    one["a"] = difference.a;
    one["b"] = difference.b;
    placement.append(one);
  }
  json["not_alike"] = json_list(comparison.remarks);
  json["verdict"] = verdict(comparison);
  return json_text(json);
}

}  // namespace lenet_flow

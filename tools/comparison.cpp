#include "tools/comparison.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/math/distributions/students_t.hpp>
#include <cmath>
#include <functional>
#include <map>
#include <numeric>
#include <stdexcept>

#include "engine/trace/states.h"

namespace lenet_flow {
namespace {

constexpr double confidence = 0.95;

double mean(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}
/// Of the mean: s^2 / n.
double variance_of_mean(const std::vector<double>& values) {
  const double centre = mean(values);
  double sum = 0;
  for (const double value : values) sum += (value - centre) * (value - centre);
  const auto n = static_cast<double>(values.size());
  return sum / (n - 1) / n;
}
double t_quantile(double degrees_of_freedom) {
  return boost::math::quantile(boost::math::students_t(degrees_of_freedom), 0.5 + confidence / 2);
}

struct Interval {
  double centre = 0;
  std::optional<double> half;
};

Interval paired_interval(const std::vector<double>& a, const std::vector<double>& b) {
  std::vector<double> differences;
  for (std::size_t i = 0; i < a.size(); ++i) differences.push_back(b[i] - a[i]);
  Interval interval{mean(differences), std::nullopt};
  if (differences.size() > 1)
    interval.half = t_quantile(static_cast<double>(differences.size()) - 1) * std::sqrt(variance_of_mean(differences));
  return interval;
}

Interval welch_interval(const std::vector<double>& a, const std::vector<double>& b) {
  Interval interval{mean(b) - mean(a), std::nullopt};
  if (a.size() < 2 || b.size() < 2) return interval;
  const double va = variance_of_mean(a), vb = variance_of_mean(b);
  if (va + vb == 0) {
    interval.half = 0;
    return interval;
  }
  const double freedom = (va + vb) * (va + vb) /
                         (va * va / static_cast<double>(a.size() - 1) + vb * vb / static_cast<double>(b.size() - 1));
  interval.half = t_quantile(freedom) * std::sqrt(va + vb);
  return interval;
}

double number(const Json::Value& value) { return value.isNumeric() ? value.asDouble() : NAN; }

/// How to read a figure off a result; NaN where it is not there.
struct Figure {
  std::string name;
  bool ratio = false, share = false;
  FigureComparison::Better better = FigureComparison::Better::neither;
  std::function<double(const Json::Value&)> of;
};

/// A state's share of the devices' time; of the stages' in results that do not tell of devices.
double state_share(const Json::Value& result, const char* state) {
  for (const char* list : {"devices", "stages"}) {
    double sum = 0, all = 0;
    for (const Json::Value& one : result[list]) {
      if (!one.isMember("seconds")) continue;
      sum += number(one["seconds"][state]);
      all += number(result["seconds"]);
    }
    if (all > 0) return sum / all;
  }
  return NAN;
}

double device_bytes(const Json::Value& result) {
  double sum = 0;
  for (const Json::Value& bytes : result["memory"]["devices"]) sum += number(bytes);
  return sum > 0 ? sum : NAN;
}

std::vector<Figure> all_figures() {
  using Better = FigureComparison::Better;
  std::vector<Figure> figures{
      {"images/s", true, false, Better::higher, [](const Json::Value& r) { return number(r["images_per_second"]); }},
      {"test accuracy", false, true, Better::higher, [](const Json::Value& r) { return number(r["test_accuracy"]); }},
      {"test loss", false, false, Better::lower, [](const Json::Value& r) { return number(r["test_loss"]); }},
      {"memory of devices", true, false, Better::lower, device_bytes},
      {"bubble", false, true, Better::lower,
       [](const Json::Value& r) { return number(r["pipeline"]["bubble_measured"]); }},
  };
  for (const State& state : time_states)
    figures.push_back({state.name, false, true, Better::neither,
                       [name = state.name](const Json::Value& r) { return state_share(r, name); }});
  return figures;
}

std::optional<FigureComparison> compare(const Figure& figure, const std::vector<Json::Value>& a,
                                        const std::vector<Json::Value>& b, bool paired) {
  const auto values_of = [&](const std::vector<Json::Value>& results) {
    std::vector<double> values;
    for (const Json::Value& result : results) values.push_back(figure.of(result));
    return values;
  };
  std::vector<double> of_a = values_of(a), of_b = values_of(b);
  const auto known = [&](double value) { return std::isfinite(value) && (!figure.ratio || value > 0); };
  if (!std::all_of(of_a.begin(), of_a.end(), known) || !std::all_of(of_b.begin(), of_b.end(), known)) return {};
  FigureComparison comparison;
  comparison.name = figure.name;
  comparison.ratio = figure.ratio;
  comparison.share = figure.share;
  comparison.better = figure.better;
  comparison.a = mean(of_a);
  comparison.b = mean(of_b);
  if (figure.ratio)
    for (auto* values : {&of_a, &of_b})
      for (double& value : *values) value = std::log(value);
  const Interval interval = paired ? paired_interval(of_a, of_b) : welch_interval(of_a, of_b);
  const auto back = [&](double value) { return figure.ratio ? std::exp(value) : value; };
  comparison.change = back(interval.centre);
  if (interval.half) {
    comparison.low = back(interval.centre - *interval.half);
    comparison.high = back(interval.centre + *interval.half);
  }
  return comparison;
}

/// Where each layer runs.
std::map<std::string, std::string> placement_of(const Json::Value& result, std::vector<std::string>& order) {
  std::map<std::string, std::string> places;
  for (const Json::Value& stage : result["stages"])
    for (const Json::Value& layer : stage["layers"]) {
      std::string& place = places[layer.asString()];
      if (place.empty()) {
        place = fmt::format("stage '{}' on {}", stage["name"].asString(), stage["device"].asString());
        if (std::find(order.begin(), order.end(), layer.asString()) == order.end()) order.push_back(layer.asString());
      } else {
        place += ", " + stage["device"].asString();
      }
    }
  return places;
}

std::vector<PlacementDifference> placement_differences(const Json::Value& a, const Json::Value& b) {
  std::vector<std::string> order;
  auto of_a = placement_of(a, order), of_b = placement_of(b, order);
  std::vector<PlacementDifference> differences;
  for (const std::string& layer : order)
    if (of_a[layer] != of_b[layer]) differences.push_back({layer, of_a[layer], of_b[layer]});
  return differences;
}

std::vector<std::string> remarks_on(const Json::Value& a, const Json::Value& b) {
  std::vector<std::string> remarks;
  const auto differs = [&](const char* what, const Json::Value& of_a, const Json::Value& of_b) {
    if (of_a != of_b && !of_a.isNull() && !of_b.isNull())
      remarks.push_back(fmt::format("{}: A {}, B {}", what, of_a.asString(), of_b.asString()));
  };
  differs("data set", a["data"]["set"], b["data"]["set"]);
  differs("mode", a["mode"], b["mode"]);
  differs("images", a["images"], b["images"]);
  differs("schedule", a["pipeline"]["schedule"], b["pipeline"]["schedule"]);
  differs("micro-batch", a["pipeline"]["micro_batch"], b["pipeline"]["micro_batch"]);
  differs("micro-batches a batch", a["pipeline"]["micro_batches"], b["pipeline"]["micro_batches"]);
  differs("SIMD target", a["simd"], b["simd"]);
  differs("version", a["version"], b["version"]);
  return remarks;
}

}  // namespace

Comparison compare_results(const std::vector<Json::Value>& a, const std::vector<Json::Value>& b, bool paired) {
  if (a.empty() || b.empty() || (paired && a.size() != b.size()))
    throw std::invalid_argument("compare_results: a result of each is needed, as many of both where they are paired");
  Comparison comparison;
  comparison.runs_a = a.size();
  comparison.runs_b = b.size();
  comparison.paired = paired;
  for (const Figure& figure : all_figures())
    if (const auto compared = compare(figure, a, b, paired)) comparison.figures.push_back(*compared);
  comparison.placement = placement_differences(a[0], b[0]);
  comparison.remarks = remarks_on(a[0], b[0]);
  return comparison;
}

}  // namespace lenet_flow

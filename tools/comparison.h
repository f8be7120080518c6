#pragma once

#include <json/value.h>

#include <optional>
#include <string>
#include <vector>

#include "tools/terminal.h"

namespace lenet_flow {

/// One figure of two sets of runs, side by side.
struct FigureComparison {
  std::string name;     ///< "images/s", "test accuracy", "starved"
  bool ratio = false;   ///< `change` is B / A; else B - A
  bool share = false;   ///< a share of 1, shown in percent
  double a = 0, b = 0;  ///< means over the runs
  double change = 0;
  /// 95 % confidence interval of `change`; none from one run each.
  std::optional<double> low, high;
  enum class Better { higher, lower, neither } better = Better::neither;

  /// The interval is there and leaves no change out.
  bool different() const { return low && (*low > none() || *high < none()); }
  double none() const { return ratio ? 1 : 0; }
};

/// A layer that is not placed alike, or only in one of the two.
struct PlacementDifference {
  std::string layer, a, b;  ///< "stage 'conv1..pool1' on cpu0", or empty
};

/// Two graph files, or two sets of results, side by side.
struct Comparison {
  std::string a, b;  ///< what they are called in texts: the files
  std::size_t runs_a = 0, runs_b = 0;
  bool paired = false;  ///< runs were interleaved, A B A B: the differences of neighbours are looked at
  std::vector<FigureComparison> figures;
  std::vector<PlacementDifference> placement;
  std::vector<std::string> remarks;  ///< what makes the two hard to compare: other data, other devices
};

/// Compares results (schema lenet-flow.run/1). Intervals are Student's t: of the differences of pairs where `paired`
/// (logarithms of ratios for rates and times), else Welch's for two samples of unequal variance (Welch, Biometrika 34,
/// 1947). Throws std::invalid_argument where one side has no result.
Comparison compare_results(const std::vector<Json::Value>& a, const std::vector<Json::Value>& b, bool paired);

/// "B is faster by 1.31x [1.27, 1.35]", "no difference that 5 runs each can show: 1.01x [0.97, 1.05]", "one run each:
/// no verdict".
std::string verdict(const Comparison& comparison);

std::string comparison_text(const Comparison& comparison, bool all, const Terminal& terminal);
/// Schema lenet-flow.compare/1.
std::string comparison_json(const Comparison& comparison);

}  // namespace lenet_flow

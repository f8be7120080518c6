#pragma once

#include <cstdint>

#include "engine/graph/graph_file.h"

namespace lenet_flow {

/// The learning rate of each update, as "training.schedule" says. Counts updates of the whole run from 0.
class LearningRate {
 public:
  /// `base`: the optimizer's learning_rate.
  LearningRate(const TypedEntry& schedule, double base, int epochs, std::int64_t batches_per_epoch);

  /// constant: base. step: base * factor^floor(epoch / every), epochs counted from 0. cosine: from base to `minimum`
  /// along half a cosine (Loshchilov and Hutter, "SGDR", ICLR 2017, without restarts). linear: from base to `minimum`
  /// along a line. In the first `warmup` epochs instead: up to base along a line, beginning with
  /// base / updates of the warm-up. README.md has the formulas.
  double at(std::uint64_t update) const;

 private:
  double after_warmup(double update) const;

  TypedEntry schedule_;
  double base_, updates_, batches_per_epoch_, warmup_;
};

}  // namespace lenet_flow

#include "engine/training/learning_rate.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace lenet_flow {

LearningRate::LearningRate(const TypedEntry& schedule, double base, int epochs, std::int64_t batches_per_epoch)
    : schedule_(schedule),
      base_(base),
      updates_(static_cast<double>(epochs) * static_cast<double>(batches_per_epoch)),
      batches_per_epoch_(static_cast<double>(batches_per_epoch)),
      warmup_(std::floor(schedule.attributes.number("warmup") * batches_per_epoch_)) {}

double LearningRate::at(std::uint64_t update) const {
  const auto number = static_cast<double>(update);
  if (number < warmup_) return base_ * (number + 1) / warmup_;
  return after_warmup(number);
}

double LearningRate::after_warmup(double update) const {
  const Attributes& attributes = schedule_.attributes;
  if (schedule_.type == "step") {
    const double epoch = std::floor(update / batches_per_epoch_);
    return base_ *
           std::pow(attributes.number("factor"), std::floor(epoch / static_cast<double>(attributes.integer("every"))));
  }
  const double gone = std::clamp((update - warmup_) / std::max(1.0, updates_ - warmup_), 0.0, 1.0);
  if (schedule_.type == "cosine") {
    const double minimum = attributes.number("minimum");
    return minimum + (base_ - minimum) * 0.5 * (1.0 + std::cos(std::numbers::pi * gone));
  }
  if (schedule_.type == "linear") return base_ + (attributes.number("minimum") - base_) * gone;
  return base_;
}

}  // namespace lenet_flow

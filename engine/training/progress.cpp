#include "engine/training/progress.h"

#include <algorithm>
#include <limits>

namespace lenet_flow {

void ProgressMeter::begin_training(int epoch, std::int64_t done, double loss_sum) {
  epoch_ = epoch;
  testing_ = false;
  done_before_ = done;
  loss_before_ = loss_sum;
  begin_ = steady_now();
  report(0, 0);
}

void ProgressMeter::begin_test(int epoch) {
  epoch_ = epoch;
  testing_ = true;
  done_before_ = 0;
  loss_before_ = 0;
  begin_ = steady_now();
  report(0, 0);
}

void ProgressMeter::report(std::int64_t images, double loss_sum) {
  if (!report_) return;
  const double here = static_cast<double>(steady_now() - begin_) * 1e-9;
  const double seconds = testing_ ? here : training_seconds_ + here;
  const auto counted = static_cast<double>(testing_ ? images : trained_ + images);
  const auto done = static_cast<double>(done_before_ + images);
  Progress progress;
  progress.evaluating = testing_;
  progress.epoch = std::clamp(epoch_, 1, std::max(1, epochs_));
  progress.epochs = epochs_;
  progress.images = done_before_ + images;
  progress.epoch_images = testing_ ? test_images_ : epoch_images_;
  progress.images_per_second = seconds > 0 ? counted / seconds : 0;
  progress.loss = done > 0 ? (loss_before_ + loss_sum) / done : std::numeric_limits<double>::quiet_NaN();
  progress.seconds_left = seconds_left(progress.images, progress.images_per_second);
  report_(progress);
}

double ProgressMeter::seconds_left(std::int64_t images, double rate) const {
  if (rate <= 0) return 0;
  const double epochs_left = std::max(0, epochs_ - epoch_);
  if (!testing_) {
    const double images_left = epochs_left * static_cast<double>(epoch_images_) +
                               static_cast<double>(std::max<std::int64_t>(0, epoch_images_ - images));
    return images_left / rate + (epochs_left + 1) * test_seconds_;
  }
  const double tests = static_cast<double>(test_images_) / rate;
  const double training =
      trained_ > 0 ? training_seconds_ * static_cast<double>(epoch_images_) / static_cast<double>(trained_) : 0;
  return static_cast<double>(test_images_ - images) / rate + epochs_left * (training + tests);
}

void ProgressMeter::end_pass(std::int64_t images, double seconds) {
  if (testing_) {
    test_seconds_ = seconds;
    return;
  }
  trained_ += images;
  training_seconds_ += seconds;
}

void ProgressMeter::end_epoch(const EpochResult& epoch) {
  if (!report_) return;
  Progress progress;
  progress.epoch = epoch.epoch;
  progress.epochs = epochs_;
  progress.images = progress.epoch_images = epoch.images;
  progress.images_per_second = epoch.seconds > 0 ? static_cast<double>(epoch.images) / epoch.seconds : 0;
  progress.loss = epoch.loss;
  const double train = trained_ > 0 ? training_seconds_ / static_cast<double>(trained_) : 0;
  progress.seconds_left =
      std::max(0, epochs_ - epoch.epoch) * (train * static_cast<double>(epoch_images_) + test_seconds_);
  progress.epoch_ended = epoch;
  report_(progress);
}

}  // namespace lenet_flow

#pragma once

#include <cstdint>

#include "engine/trace/clock.h"
#include "engine/training/trainer.h"

namespace lenet_flow {

/// Makes a run's Progress reports: how far it is, how fast, and how long it will still take. Time left is what is left
/// of training at the rate so far, and what is left of evaluations as long as the last one took. Reports at the begin
/// of each pass, at the end of each epoch, and when it is told to.
class ProgressMeter {
 public:
  /// `report` may be empty. `epoch_images`: of an epoch of training; `test_images`: of an evaluation.
  ProgressMeter(const std::function<void(const Progress&)>& report, int epochs, std::int64_t epoch_images,
                std::int64_t test_images)
      : report_(report), epochs_(epochs), epoch_images_(epoch_images), test_images_(test_images) {}

  /// A pass of training begins, `done` images of its epoch being done and the sum of their losses known.
  void begin_training(int epoch, std::int64_t done, double loss_sum);
  /// A pass through the test split begins, after that epoch.
  void begin_test(int epoch);
  /// `images` of the pass are done; `loss_sum`: of them.
  void report(std::int64_t images, double loss_sum);
  /// The pass is over, with so many images and seconds.
  void end_pass(std::int64_t images, double seconds);
  void end_epoch(const EpochResult& epoch);

 private:
  double seconds_left(std::int64_t images, double rate) const;

  std::function<void(const Progress&)> report_;
  int epochs_;
  std::int64_t epoch_images_, test_images_;
  std::int64_t trained_ = 0;  ///< images of the passes of training that are over
  double training_seconds_ = 0;
  double test_seconds_ = 0;  ///< of the last evaluation
  int epoch_ = 1;            ///< of the pass that runs, as are the following
  bool testing_ = false;
  std::int64_t done_before_ = 0;
  double loss_before_ = 0;
  Nanoseconds begin_ = 0;
};

}  // namespace lenet_flow

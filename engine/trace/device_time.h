#pragma once

#include <cstdint>

#include "devices/async_device.h"
#include "engine/trace/clock.h"

namespace lenet_flow {

/// How an asynchronous device's clock maps onto the steady clock. Both ends of a stamp bound it: the device writes its
/// clock between a time before the stamp was asked for and one after it was seen (Cristian, "Probabilistic Clock
/// Synchronization", 1989: the shortest of several rounds is the best). A later calibration gives the rate.
class DeviceTime {
 public:
  explicit DeviceTime(AsyncDevice& device);

  /// Takes some rounds of about 10 us; the device should have nothing else to do. From its host thread.
  void calibrate();
  /// The steady clock when the device's clock showed `device_time`.
  Nanoseconds steady(std::int64_t device_time) const {
    return anchor_.steady + static_cast<Nanoseconds>(static_cast<double>(device_time - anchor_.device) * rate_);
  }
  /// Half the shortest round of the last calibration: the map was within this then.
  Nanoseconds error() const { return error_; }
  /// Nanoseconds by which the last calibration found the map off, as it was before; 0 before the second one.
  Nanoseconds drift() const { return drift_; }

 private:
  struct Anchor {
    std::int64_t device = 0;
    Nanoseconds steady = 0;
  };

  AsyncDevice& device_;
  std::unique_ptr<Mark> mark_;
  volatile std::int64_t* stamp_;
  Anchor first_, anchor_;
  double rate_ = 1;
  Nanoseconds error_ = 0, drift_ = 0;
  int calibrations_ = 0;
};

}  // namespace lenet_flow

#include "engine/trace/device_time.h"

#include <limits>

namespace lenet_flow {

DeviceTime::DeviceTime(AsyncDevice& device)
    : device_(device),
      mark_(device.make_mark()),
      stamp_(reinterpret_cast<std::int64_t*>(device.allocate_host(sizeof(std::int64_t)))) {}

void DeviceTime::calibrate() {
  constexpr int rounds = 20;
  constexpr Nanoseconds far_enough = 500'000'000;  // for a rate that the error does not spoil
  Anchor best;
  error_ = std::numeric_limits<Nanoseconds>::max();
  WorkQueue& queue = device_.queue();
  for (int round = 0; round < rounds; ++round) {
    const Nanoseconds before = steady_now();
    device_.stamp(queue, const_cast<std::int64_t*>(stamp_));
    device_.record(*mark_, queue);
    while (!device_.reached(*mark_)) pause_a_moment();
    const Nanoseconds after = steady_now(), half = (after - before) / 2;
    if (half >= error_) continue;
    error_ = half;
    best = {*stamp_, before + half};
  }
  if (calibrations_++ == 0) {
    first_ = anchor_ = best;
    return;
  }
  drift_ = best.steady - steady(best.device);
  if (best.steady - first_.steady > far_enough)
    rate_ = static_cast<double>(best.steady - first_.steady) / static_cast<double>(best.device - first_.device);
  anchor_ = best;
}

}  // namespace lenet_flow

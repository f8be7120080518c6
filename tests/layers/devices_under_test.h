#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "devices/device.h"

namespace lenet_flow::test {

/// A device that the suite runs layers on, and how to reach into its memory.
struct DeviceUnderTest {
  std::string name;
  std::unique_ptr<Device> device;
  /// Fills memory of the device with bytes 0xFF: NaN, read as floats.
  std::function<void(std::byte*, std::size_t)> poison;
  /// Whether all bytes are still 0xFF.
  std::function<bool(const std::byte*, std::size_t)> is_poisoned;
};

/// Every device that this machine can put under test: CPU devices of one and of two cores (of one core twice, where
/// there is only one). Another kind of device is added here, and nowhere else.
std::vector<DeviceUnderTest> devices_under_test();

}  // namespace lenet_flow::test

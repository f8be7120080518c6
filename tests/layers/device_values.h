#pragma once

#include <span>

#include "tests/layers/devices_under_test.h"

namespace lenet_flow::test {

/// The first of devices_under_test(), for tests that need one. Lives as long as the program.
inline Device& device_under_test() {
  static const std::vector<DeviceUnderTest> devices = devices_under_test();
  return *devices.front().device;
}

/// A copy of some numbers in a device's memory.
template <typename T>
class DeviceValues {
 public:
  DeviceValues(Device& device, std::span<const T> values) : device_(&device), size_(values.size()) {
    data_ = reinterpret_cast<T*>(device.allocate(values.size_bytes()));
    device.write_bytes(std::as_bytes(values), reinterpret_cast<std::byte*>(data_));
  }

  T* data() const { return data_; }
  std::span<T> span() const { return {data_, size_}; }
  ParameterView view() const { return {data_, static_cast<std::int64_t>(size_)}; }
  void read(std::span<T> to) const {
    device_->read_bytes(reinterpret_cast<const std::byte*>(data_), std::as_writable_bytes(to));
  }

 private:
  Device* device_;
  T* data_ = nullptr;
  std::size_t size_;
};

}  // namespace lenet_flow::test

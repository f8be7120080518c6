#include "tests/layers/devices_under_test.h"

#include <algorithm>
#include <cstring>

#include "devices/cpu_device.h"
#include "devices/machine.h"

namespace lenet_flow::test {
namespace {

DeviceUnderTest cpu(const std::string& name, const std::vector<int>& cores) {
  return {name, std::make_unique<CpuDevice>(name, cores),
          [](std::byte* at, std::size_t bytes) { std::memset(at, 0xFF, bytes); },
          [](const std::byte* at, std::size_t bytes) {
            return std::all_of(at, at + bytes, [](std::byte byte) { return byte == std::byte{0xFF}; });
          }};
}

}  // namespace

std::vector<DeviceUnderTest> devices_under_test() {
  const std::vector<int>& cores = Machine::here().cores();
  std::vector<DeviceUnderTest> devices;
  devices.push_back(cpu("cpu of 1 core", {cores.front()}));
  devices.push_back(cpu("cpu of 2 cores", {cores.front(), cores[cores.size() > 1 ? 1 : 0]}));
  return devices;
}

}  // namespace lenet_flow::test

#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace lenet_flow {

/// Where a device is plugged in.
struct PciPlace {
  int numa_node = -1;      ///< -1: the system does not say, as where there is one only
  std::vector<int> cores;  ///< logical cores next to it, ascending; empty: the system does not say
};

/// Of the device with this PCI address ("0000:3B:00.0"), as Linux says in `devices`.
PciPlace pci_place(const std::string& bus_id, const std::filesystem::path& devices = "/sys/bus/pci/devices");

/// "0-2,5" -> 0, 1, 2, 5: the form of Linux's lists. Empty where that is no such list.
std::vector<int> parse_cpu_list(const std::string& text);

}  // namespace lenet_flow

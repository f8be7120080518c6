#include "devices/pci_place.h"

#include <cctype>
#include <charconv>
#include <fstream>

namespace lenet_flow {
namespace {

constexpr int most_cores = 1 << 16;  // more than any machine has: a longer list is damaged

/// Takes a number from the front of [at, end). Returns -1 and stays where there is none.
int take_number(const char*& at, const char* end) {
  int number = -1;
  const auto [next, error] = std::from_chars(at, end, number);
  if (error != std::errc() || number < 0) return -1;
  at = next;
  return number;
}

}  // namespace

std::vector<int> parse_cpu_list(const std::string& text) {
  std::vector<int> cores;
  const char* at = text.data();
  const char* end = at + text.size();
  while (at != end) {
    const int first = take_number(at, end);
    int last = first;
    if (at != end && *at == '-') last = take_number(++at, end);
    if (first < 0 || last < first || last >= most_cores) return {};
    if (!cores.empty() && first <= cores.back()) return {};
    for (int core = first; core <= last; ++core) cores.push_back(core);
    if (at != end && (*at++ != ',' || at == end)) return {};
  }
  return cores;
}

PciPlace pci_place(const std::string& bus_id, const std::filesystem::path& devices) {
  std::string name = bus_id;
  for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  PciPlace place;
  int node = -1;
  if (std::ifstream(devices / name / "numa_node") >> node && node >= 0) place.numa_node = node;
  std::string list;
  if (std::ifstream(devices / name / "local_cpulist") >> list) place.cores = parse_cpu_list(list);
  return place;
}

}  // namespace lenet_flow

#include "tools/devices_tables.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "tools/table.h"
#include "tools/units.h"

namespace lenet_flow {
namespace {

using Align = Table::Align;

/// Sizes of copies that have a column; the JSON has more.
constexpr std::array<std::uint64_t, 5> sizes_shown{4ULL << 10, 64ULL << 10, 1ULL << 20, 16ULL << 20, 256ULL << 20};

/// [0, 1, 2, 5] -> "0-2, 5".
std::string ranges_text(const std::vector<int>& numbers) {
  std::vector<std::string> parts;
  for (std::size_t i = 0; i < numbers.size();) {
    std::size_t end = i + 1;
    while (end < numbers.size() && numbers[end] == numbers[end - 1] + 1) ++end;
    parts.push_back(end - i == 1 ? std::to_string(numbers[i]) : fmt::format("{}-{}", numbers[i], numbers[end - 1]));
    i = end;
  }
  return fmt::format("{}", fmt::join(parts, ", "));
}

std::string flops_text(double flops) { return amount_text(flops) + "FLOP/s"; }
std::string rate_text(double bytes_per_second) { return amount_text(bytes_per_second) + "B/s"; }
std::string microseconds_text(double seconds) { return fmt::format("{:.1f} us", seconds * 1e6); }

/// A name and a value a line.
class Lines {
 public:
  explicit Lines(const Terminal& terminal) : terminal_(terminal) {}
  void add(const std::string& name, const std::string& value) {
    text_ += fmt::format("{}{}\n", styled(terminal_, Style::bold, fmt::format("{:<8}", name)), value);
  }
  const std::string& text() const { return text_; }

 private:
  const Terminal& terminal_;
  std::string text_;
};

void add_cpu(const ThisMachine& machine, Lines& lines) {
  lines.add("cpu", machine.cpu_model);
  lines.add("cores", fmt::format("{} for this process: {}", machine.cores.size(), ranges_text(machine.cores)));
  std::vector<std::string> caches;
  for (std::size_t i = 0; i < machine.cache_bytes.size(); ++i)
    caches.push_back(fmt::format("L{} {}", i + 1, bytes_text(machine.cache_bytes[i])));
  if (!caches.empty()) lines.add("caches", fmt::format("{} (as one core sees them)", fmt::join(caches, ", ")));
  lines.add("memory",
            fmt::format("{}, {} free", bytes_text(machine.memory_bytes), bytes_text(machine.available_bytes)));
}

std::string gpu_text(const Gpu& gpu) {
  std::string text = fmt::format("{}: compute capability {}.{}, {} multiprocessors, {}", gpu.name, gpu.compute_major,
                                 gpu.compute_minor, gpu.multiprocessors, bytes_text(gpu.memory_bytes));
  if (gpu.free_bytes) text += fmt::format(" ({} free)", bytes_text(*gpu.free_bytes));
  if (!gpu.pci_bus_id.empty()) text += ", PCI " + gpu.pci_bus_id;
  if (gpu.numa_node >= 0) text += fmt::format(", NUMA node {}", gpu.numa_node);
  if (!gpu.cores.empty()) text += ", next to cores " + ranges_text(gpu.cores);
  if (!gpu.peers.empty()) text += ", reaches GPUs " + ranges_text(gpu.peers) + " directly";
  return gpu.why_unusable.empty() ? text : text + "; " + gpu.why_unusable;
}

void add_gpus(const ThisMachine& machine, Lines& lines) {
  const GpuSearch& search = machine.gpus;
  if (search.gpus.empty())
    return lines.add("gpu", search.why_none + "; '--map gpu0=cpu' puts a graph file's gpu0 on a CPU core");
  for (const Gpu& gpu : search.gpus) lines.add(fmt::format("gpu{}", gpu.index), gpu_text(gpu));
  lines.add("driver", fmt::format("{}for CUDA up to {}; this program was built with {}",
                                  search.driver.empty() ? "" : search.driver + ", ",
                                  cuda_version_text(search.driver_version), cuda_version_text(search.runtime_version)));
  for (const MissingLibrary& library : machine.missing)
    lines.add("without", fmt::format("{}: {}; {}", library.name, library.why, library.without));
}

std::string device_table(const Measures& measures, const Terminal& terminal) {
  std::vector<Table::Column> columns{{"device", Align::left}, {"fp32"}, {"memory copy"}, {"triad"}};
  const bool gpus = !measures.gpus.empty();
  if (gpus)
    for (const char* name : {"launch", "to done", "graph launch", "to done"}) columns.push_back({name});
  Table table(columns);
  for (const CpuMeasure& cpu : measures.cpus) {
    std::vector<std::string> row{plural(cpu.cores, "CPU core"), flops_text(cpu.flops),
                                 rate_text(cpu.copy_bytes_per_second), rate_text(cpu.triad_bytes_per_second)};
    row.resize(columns.size(), "-");
    table.add_row(row);
  }
  for (const GpuMeasure& gpu : measures.gpus)
    table.add_row({fmt::format("gpu{}", gpu.gpu), flops_text(gpu.flops), rate_text(gpu.copy_bytes_per_second), "-",
                   microseconds_text(gpu.launch_seconds), microseconds_text(gpu.launch_to_done_seconds),
                   microseconds_text(gpu.graph_launch_seconds), microseconds_text(gpu.graph_to_done_seconds)});
  return table.text(terminal);
}

std::string link_table(const std::vector<LinkMeasure>& links, const Terminal& terminal) {
  std::vector<Table::Column> columns{{"link", Align::left}, {"way", Align::left}, {"latency"}};
  for (const std::uint64_t bytes : sizes_shown) columns.push_back({bytes_text(bytes)});
  columns.push_back({"both ways at once"});
  Table table(columns);
  for (const LinkMeasure& link : links) {
    std::vector<std::string> row{link.from + " -> " + link.to, link.way, microseconds_text(link.latency_seconds)};
    for (const std::uint64_t bytes : sizes_shown) {
      const auto found = std::find_if(link.rates.begin(), link.rates.end(),
                                      [&](const SizedRate& rate) { return rate.bytes == bytes; });
      row.push_back(found == link.rates.end() ? "-" : rate_text(found->bytes_per_second));
    }
    row.push_back(rate_text(link.both_bytes_per_second));
    table.add_row(row);
  }
  return table.text(terminal);
}

}  // namespace

std::string devices_tables(const ThisMachine& machine, const Terminal& terminal) {
  Lines lines(terminal);
  add_cpu(machine, lines);
  add_gpus(machine, lines);
  if (!machine.measures)
    return lines.text() + "\nnot measured yet: 'lenet-flow devices --measure' does, in some seconds\n";
  std::string text = lines.text() + "\n" + device_table(*machine.measures, terminal);
  if (!machine.measures->links.empty()) text += "\n" + link_table(machine.measures->links, terminal);
  return text;
}

}  // namespace lenet_flow

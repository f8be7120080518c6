#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>

#include "devices/gpus.h"
#include "devices/machine.h"
#include "tools/commands.h"
#include "tools/terminal.h"
#include "tools/units.h"

namespace lenet_flow {
namespace {

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

ExitCode devices() {
  const Machine& machine = Machine::here();
  const GpuSearch search = find_gpus();
  const Terminal terminal = Terminal::of(1);
  std::string text;
  const auto line = [&](const char* name, const std::string& value) {
    text += fmt::format("{}{}\n", styled(terminal, Style::bold, fmt::format("{:<8}", name)), value);
  };
  std::vector<std::string> caches;
  for (std::size_t i = 0; i < machine.cache_bytes().size(); ++i)
    caches.push_back(fmt::format("L{} {}", i + 1, bytes_text(machine.cache_bytes()[i])));
  line("cpu", machine.cpu_model());
  line("cores", fmt::format("{} for this process: {}", machine.cores().size(), ranges_text(machine.cores())));
  if (!caches.empty()) line("caches", fmt::format("{} (as one core sees them)", fmt::join(caches, ", ")));
  line("memory",
       fmt::format("{}, {} free", bytes_text(machine.memory_bytes()), bytes_text(Machine::available_bytes())));
  if (search.gpus.empty())
    line("gpu", search.why_none + "; '--map gpu0=cpu' puts a graph file's gpu0 on a CPU core");
  print(text);
  return ExitCode::done;
}

}  // namespace

void add_devices(CLI::App& program, Command& chosen) {
  CLI::App* command = program.add_subcommand("devices", "what this machine has");
  command->footer("Example:\n  lenet-flow devices");
  command->callback([&chosen] { chosen = devices; });
}

}  // namespace lenet_flow

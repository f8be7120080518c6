#include "devices/measures.h"

#include <exception>

#include "devices/machine.h"
#include "devices/memory_bandwidth.h"
#include "devices/peak_flops.h"

namespace lenet_flow {
namespace {

CpuMeasure measure_cores(const std::vector<int>& cores) {
  const MemoryBandwidth bandwidth = measure_memory_bandwidth(cores);
  return {static_cast<int>(cores.size()), measure_peak_flops(cores, 0.2), bandwidth.copy, bandwidth.triad};
}

template <typename Item>
void append(std::vector<Item>& to, const std::vector<Item>& more) {
  to.insert(to.end(), more.begin(), more.end());
}

/// Runs `body`; what it throws becomes a warning.
template <typename Body>
void attempt(const std::string& what, std::vector<std::string>& warnings, Body&& body) {
  try {
    body();
  } catch (const std::exception& error) {
    warnings.push_back(what + " could not be measured: " + error.what());
  }
}

}  // namespace

std::vector<CpuMeasure> measure_cpus() {
  const std::vector<int>& cores = Machine::here().cores();
  std::vector<CpuMeasure> measures{measure_cores({cores.front()})};
  if (cores.size() > 1) measures.push_back(measure_cores(cores));
  return measures;
}

Measures measure_machine(const GpuSearch& search, std::vector<std::string>& warnings) {
  const MeasureEffort effort;
  Measures measures;
  attempt("the CPU", warnings, [&] { measures.cpus = measure_cpus(); });
  for (const Gpu& gpu : search.gpus) {
    const std::string name = "gpu" + std::to_string(gpu.index);
    if (!gpu.why_unusable.empty()) continue;
    attempt(name, warnings, [&] { measures.gpus.push_back(measure_gpu(gpu, effort)); });
    attempt("the link to " + name, warnings, [&] { append(measures.links, measure_host_links(gpu, effort)); });
  }
  for (std::size_t a = 0; a < search.gpus.size(); ++a)
    for (std::size_t b = a + 1; b < search.gpus.size(); ++b)
      attempt("the link between gpu" + std::to_string(a) + " and gpu" + std::to_string(b), warnings,
              [&] { append(measures.links, measure_peer_links(search.gpus[a], search.gpus[b], effort)); });
  return measures;
}

}  // namespace lenet_flow

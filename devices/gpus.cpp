#include "devices/gpus.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <system_error>

#include "devices/cuda/nvml.h"
#include "devices/machine.h"
#include "devices/pci_place.h"
#include "devices/shared_library.h"

namespace lenet_flow {
namespace {

/// Of the GPUs that this build's CUDA code is compiled for, as the build option gpu_arch lists them.
const std::vector<int> compiled_for{LENET_FLOW_GPU_ARCHITECTURES};

const std::string& driver_library_name() {
  static const std::string name = "libcuda.so.1";
  return name;
}

/// What the operating system and this build say of a GPU that the CUDA runtime found.
void place(Gpu& gpu) {
  const PciPlace place = pci_place(gpu.pci_bus_id);
  const std::vector<int>& usable = Machine::here().cores();
  gpu.numa_node = place.numa_node;
  std::set_intersection(place.cores.begin(), place.cores.end(), usable.begin(), usable.end(),
                        std::back_inserter(gpu.cores));
  if (!has_code_for(compiled_for, gpu.compute_major, gpu.compute_minor))
    gpu.why_unusable = fmt::format(
        "this program has no code for compute capability {0}.{1}, it was built with -Dgpu_arch={2}; {0}{1} is missing",
        gpu.compute_major, gpu.compute_minor, fmt::join(compiled_for, ","));
}

std::string error_text(const CudaFacts& cuda) { return cuda.error_name + ", " + cuda.error_text; }

}  // namespace

std::string cuda_version_text(int version) { return fmt::format("{}.{}", version / 1000, version % 1000 / 10); }

bool has_code_for(const std::vector<int>& architectures, int compute_major, int compute_minor) {
  const int mine = 10 * compute_major + compute_minor;
  // Machine code runs on later GPUs of its own major version, PTX on all later ones.
  return std::any_of(architectures.begin(), architectures.end(), [&](int code) {
    return code <= mine && (code / 10 == compute_major || code == architectures.back());
  });
}

std::string closed_device_node(const std::filesystem::path& folder) {
  for (const char* name : {"nvidiactl", "nvidia-uvm", "nvidia0"}) {
    const std::filesystem::path path = folder / name;
    const int descriptor = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
    if (descriptor >= 0)
      ::close(descriptor);
    else if (errno == EACCES || errno == EPERM)
      return path.string() + " cannot be opened: " + std::generic_category().message(errno);
  }
  return {};
}

std::string why_no_gpus(const GpuClues& clues) {
  if (!clues.built_with_cuda) return "this program was built without CUDA";
  if (!clues.driver_library.empty())
    return clues.kernel_module ? fmt::format(
                                     "the NVIDIA driver is loaded, but not its library: {}; a container must be "
                                     "started with access to GPUs",
                                     clues.driver_library)
                               : "no NVIDIA driver: " + clues.driver_library;
  const CudaFacts& cuda = clues.cuda;
  if (cuda.error_name == "cudaErrorStubLibrary")
    return driver_library_name() + " is the CUDA Toolkit's stand-in for it, not an NVIDIA driver";
  if (cuda.error_name == "cudaErrorInsufficientDriver" && cuda.driver_version > 0)
    return fmt::format("the NVIDIA driver is too old: it can do CUDA {}, this program needs {}",
                       cuda_version_text(cuda.driver_version), cuda_version_text(cuda.runtime_version));
  if (!clues.closed_node.empty())
    return clues.closed_node + (cuda.error_name.empty() ? "" : " (" + error_text(cuda) + ")");
  if (cuda.error_name.empty() || cuda.error_name == "cudaErrorNoDevice")
    return clues.visible
               ? fmt::format("CUDA_VISIBLE_DEVICES is '{}', which leaves none of this machine's GPUs", *clues.visible)
               : "this machine has no NVIDIA GPU";
  return "CUDA does not start: " + error_text(cuda);
}

std::string GpuSearch::why_no(int index) const {
  if (gpus.empty()) return why_none;
  for (const Gpu& gpu : gpus)
    if (gpu.index == index) return gpu.why_unusable;
  std::vector<std::string> known;
  for (const Gpu& gpu : gpus) known.push_back(fmt::format("{}: {}", gpu.index, gpu.name));
  std::string text =
      fmt::format("there is no GPU {}: this machine has {} ({})", index, gpus.size(), fmt::join(known, ", "));
  if (!visible.empty()) text += fmt::format(", as CUDA_VISIBLE_DEVICES is '{}'", visible);
  return text;
}

GpuSearch find_gpus() {
  GpuSearch search;
  GpuClues clues;
  clues.built_with_cuda = ask_cuda != nullptr;
  if (const char* visible = std::getenv("CUDA_VISIBLE_DEVICES")) clues.visible = search.visible = visible;
  if (clues.built_with_cuda) {
    // The runtime takes a missing library for a driver that is too old.
    const SharedLibrary driver(std::span(&driver_library_name(), 1));
    clues.driver_library = driver.why();
    clues.cuda = ask_cuda();
  }
  search.gpus = clues.cuda.gpus;
  search.driver_version = clues.cuda.driver_version;
  search.runtime_version = clues.cuda.runtime_version;
  for (Gpu& gpu : search.gpus) place(gpu);
  if (search.gpus.empty()) {
    std::error_code ignored;
    clues.kernel_module = std::filesystem::exists("/proc/driver/nvidia/version", ignored);
    clues.closed_node = closed_device_node("/dev");
    search.why_none = why_no_gpus(clues);
  }
  return search;
}

void look_closer(GpuSearch& search) {
  if (search.gpus.empty()) return;
  const Nvml nvml;
  search.driver = nvml.driver_version();
  for (Gpu& gpu : search.gpus) gpu.free_bytes = nvml.free_bytes(gpu.pci_bus_id);
}

std::vector<MissingLibrary> missing_cuda_libraries() {
  if (ask_cuda == nullptr) return {};
  const std::string major = std::to_string(ask_cuda().runtime_version / 1000);
  struct Optional {
    const char* name;
    std::string file;
    const char* without;
  };
  const Optional all[] = {
      {"cuDNN", "libcudnn.so.9", "convolutions run by this program's own kernels alone"},
      {"cuBLAS", "libcublas.so." + major, "matrix products run by this program's own kernels alone"},
      {"NVML", Nvml::library_name(), "no energy, power, free memory or driver version is known"},
      {"NCCL", "libnccl.so.2", "GPUs exchange data by plain copies alone"},
      {"CUPTI", "libcupti.so." + major, "traces time a GPU's work by events alone"},
  };
  std::vector<MissingLibrary> missing;
  for (const Optional& library : all) {
    const SharedLibrary loaded(std::span(&library.file, 1));
    if (!loaded.is_loaded()) missing.push_back({library.name, loaded.why(), library.without});
  }
  return missing;
}

}  // namespace lenet_flow

#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "devices/cuda_code.h"

namespace lenet_flow {

/// A GPU of this machine.
struct Gpu {
  int index = 0;     ///< as the CUDA runtime counts: the "index" of a graph file
  std::string name;  ///< "NVIDIA H200"
  int compute_major = 0, compute_minor = 0;
  int multiprocessors = 0;
  std::uint64_t memory_bytes = 0;
  std::optional<std::uint64_t> free_bytes;  ///< none where NVML is not there to say it; see look_closer()
  std::string uuid;                         ///< "GPU-5d2c...": its own, wherever it is plugged in
  std::string pci_bus_id;                   ///< "0000:3b:00.0"
  int numa_node = -1;                       ///< -1: the system does not say
  std::vector<int> cores;                   ///< of those that this process may use, the ones next to it, ascending
  std::vector<int> peers;                   ///< indices of the GPUs whose memory it can reach directly
  std::string why_unusable;                 ///< empty: this program has code for it
};

/// What the CUDA runtime says. Versions are CUDA's numbers: 13000 is CUDA 13.0.
struct CudaFacts {
  int driver_version = 0;   ///< the newest CUDA that the driver can do; 0: no driver
  int runtime_version = 0;  ///< that this program was built with
  std::string error_name;   ///< "cudaErrorNoDevice"; empty where it found GPUs
  std::string error_text;   ///< "no CUDA-capable device is detected"
  std::vector<Gpu> gpus;    ///< without what the operating system says of them
};

/// Never throws; needs a driver's library (libcuda.so.1) to say more than that there is none.
LENET_FLOW_CUDA_CODE CudaFacts ask_cuda() noexcept;

/// The GPUs that this process can use, or why there are none.
struct GpuSearch {
  std::vector<Gpu> gpus;
  std::string why_none;     ///< in a line for people; empty where there is a GPU
  std::string visible;      ///< the environment's CUDA_VISIBLE_DEVICES; empty where it hides nothing
  int driver_version = 0;   ///< see CudaFacts
  int runtime_version = 0;  ///< 0 in a build without CUDA
  std::string driver;       ///< "580.65.06"; see look_closer()

  /// Why there is no GPU of this number, or none that this program can use: "there is no GPU 3: this machine has 1 (0:
  /// NVIDIA H200)". Empty where there is.
  std::string why_no(int index) const;
};

/// Looks for GPUs. On a machine with no driver, GPU or library, and in a build without CUDA, it says so in `why_none`.
/// Makes no CUDA context. Safe from any thread.
GpuSearch find_gpus();

/// Adds what only NVML knows: memory that is free, the driver's version.
void look_closer(GpuSearch& search);

/// A library that this program can do without, and which is not there.
struct MissingLibrary {
  std::string name;     ///< "cuDNN"
  std::string why;      ///< "libcudnn.so.9 was not found"
  std::string without;  ///< what that means: "convolutions run on this program's own kernels"
};

/// Of the CUDA libraries that are loaded at run time, those that are not there. None in a build without CUDA.
std::vector<MissingLibrary> missing_cuda_libraries();

/// What is known when no GPU was found; apart from the search, so that every case can be tested on any machine.
struct GpuClues {
  bool built_with_cuda = false;
  std::string driver_library;          ///< why libcuda.so.1 could not be loaded; empty: it was
  bool kernel_module = false;          ///< /proc/driver/nvidia/version is there
  std::optional<std::string> visible;  ///< CUDA_VISIBLE_DEVICES
  std::string closed_node;             ///< "/dev/nvidia0 cannot be opened: Permission denied"; empty: none
  CudaFacts cuda;
};
std::string why_no_gpus(const GpuClues& clues);

/// The first of NVIDIA's device files in `folder` that is there and cannot be opened, in words; empty where none is.
std::string closed_device_node(const std::filesystem::path& folder);

/// Whether code compiled for `architectures` (75 is compute capability 7.5; ascending, the last one as PTX too) runs on
/// a GPU of that compute capability.
bool has_code_for(const std::vector<int>& architectures, int compute_major, int compute_minor);

/// 13000 -> "13.0".
std::string cuda_version_text(int version);

}  // namespace lenet_flow

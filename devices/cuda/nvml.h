#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "devices/shared_library.h"

namespace lenet_flow {

/// NVIDIA's management library, loaded at run time: what the CUDA runtime does not say of a GPU. GPUs go by PCI
/// address, since NVML numbers them in another order than CUDA. Where something is not known, no function throws.
class Nvml {
 public:
  static std::string library_name();
  /// `library`: another name or path of it, for tests.
  explicit Nvml(const std::string& library = library_name());
  ~Nvml();
  Nvml(const Nvml&) = delete;
  Nvml& operator=(const Nvml&) = delete;

  /// Why nothing is known; empty where NVML works.
  const std::string& why() const { return why_; }

  /// Of the GPU driver: "580.65.06", or empty.
  std::string driver_version() const;
  std::optional<std::uint64_t> free_bytes(const std::string& pci_bus_id) const;
  std::optional<double> watts(const std::string& pci_bus_id) const;

  /// What a GPU has used since its driver was loaded, or why that is not known. It moves some 10 times a second.
  struct Energy {
    std::optional<double> joules;
    std::string why;
  };
  Energy energy(const std::string& pci_bus_id) const;

 private:
  using Handle = void*;
  /// Why there is none in `why`.
  std::optional<Handle> find(const std::string& pci_bus_id, std::string& why) const;
  std::string error_text(int result) const;

  SharedLibrary library_;
  std::string why_;
};

}  // namespace lenet_flow

#pragma once

#include <cstddef>

namespace cuda_emulation {

/// The emulated GPU's memory: blocks of the host's, known by address.
std::byte* allocate_device_memory(std::size_t bytes);  ///< null where the limit is reached
/// Whether `block` was one.
bool free_device_memory(void* block);
/// Whether all of [at, at + bytes) lies in one block. 0 bytes: whether `at` does, its end included.
bool is_device_memory(const void* at, std::size_t bytes);
/// Bytes of the device, free and all together.
std::size_t free_device_bytes();
std::size_t total_device_bytes();
/// Sets the size of the device's memory; 0: as much as the host gives. For tests of what happens when it is full.
void set_device_bytes(std::size_t bytes);

}  // namespace cuda_emulation

#pragma once

#include <cstddef>

namespace cuda_emulation {

/// The memory of emulated GPUs and pinned memory of the host: blocks of the host's memory, known by address. The caller
/// holds the runtime's lock.

/// Numbers a block's owner: a device, or `host` for pinned memory.
constexpr int host = -1;

/// Null where the limit is reached.
std::byte* allocate_memory(int owner, std::size_t bytes);
/// False where no block that was allocated for a device (`of_host`: the host) begins there.
bool free_memory(void* block, bool of_host);
/// Pins memory that somebody else owns. False where some of it is pinned already.
bool register_memory(void* at, std::size_t bytes);
bool unregister_memory(void* at);

struct Owner {
  bool is_known = false;  ///< else it is pageable memory of the host
  int number = host;
};
/// Whose [at, at + bytes) is: known where it lies in one block. 0 bytes: that of `at`, a block's end included.
Owner owner_of(const void* at, std::size_t bytes);

std::size_t free_bytes(int owner);
std::size_t total_bytes(int owner);
void set_total_bytes(int owner, std::size_t bytes);  ///< 0: no limit

}  // namespace cuda_emulation

#include "tests/cuda_emulation/memory.h"

#include <functional>
#include <map>
#include <memory>
#include <new>

namespace cuda_emulation {
namespace {

constexpr std::align_val_t block_alignment{256};  // as cudaMalloc's
constexpr std::size_t unlimited = std::size_t{1} << 40;

struct AlignedDelete {
  void operator()(std::byte* block) const { ::operator delete(block, block_alignment); }
};

struct Block {
  std::unique_ptr<std::byte, AlignedDelete> memory;
  std::size_t bytes = 0;
};

std::map<const std::byte*, Block, std::greater<>> blocks;  ///< the first at or before an address is lower_bound()
std::size_t used = 0, total = unlimited;

}  // namespace

std::byte* allocate_device_memory(std::size_t bytes) {
  if (bytes > total - used) return nullptr;
  auto* block = static_cast<std::byte*>(::operator new(bytes, block_alignment));
  blocks[block] = {std::unique_ptr<std::byte, AlignedDelete>(block), bytes};
  used += bytes;
  return block;
}

bool free_device_memory(void* block) {
  const auto found = blocks.find(static_cast<std::byte*>(block));
  if (found == blocks.end()) return false;
  used -= found->second.bytes;
  blocks.erase(found);
  return true;
}

bool is_device_memory(const void* at, std::size_t bytes) {
  const auto* first = static_cast<const std::byte*>(at);
  const auto found = blocks.lower_bound(first);
  return found != blocks.end() && first + bytes <= found->first + found->second.bytes;
}

std::size_t free_device_bytes() { return total - used; }
std::size_t total_device_bytes() { return total; }
void set_device_bytes(std::size_t bytes) { total = bytes == 0 ? unlimited : bytes; }

}  // namespace cuda_emulation

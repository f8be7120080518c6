#include "tests/cuda_emulation/memory.h"

#include <array>
#include <functional>
#include <map>
#include <memory>
#include <new>

#include "tests/cuda_emulation/emulation.h"

namespace cuda_emulation {
namespace {

constexpr std::align_val_t block_alignment{256};  // as cudaMalloc's
constexpr std::size_t unlimited = std::size_t{1} << 40;

struct AlignedDelete {
  void operator()(std::byte* block) const { ::operator delete(block, block_alignment); }
};

struct Block {
  int owner = host;
  std::size_t bytes = 0;
  std::unique_ptr<std::byte, AlignedDelete> memory;  ///< null: registered, somebody else's
};

struct Pool {
  std::size_t used = 0, total = unlimited;
};

std::map<const std::byte*, Block, std::greater<>> blocks;  ///< the first at or before an address is lower_bound()
std::array<Pool, most_devices + 1> pools;                  ///< the host's is the first
Pool& pool_of(int owner) { return pools.at(static_cast<std::size_t>(owner + 1)); }

}  // namespace

std::byte* allocate_memory(int owner, std::size_t bytes) {
  Pool& pool = pool_of(owner);
  if (bytes > free_bytes(owner)) return nullptr;
  auto* memory = static_cast<std::byte*>(::operator new(bytes, block_alignment));
  Block& block = blocks[memory];
  block.owner = owner;
  block.bytes = bytes;
  block.memory.reset(memory);
  pool.used += bytes;
  return memory;
}

bool free_memory(void* at, bool of_host) {
  const auto found = blocks.find(static_cast<std::byte*>(at));
  if (found == blocks.end() || !found->second.memory || (found->second.owner == host) != of_host) return false;
  pool_of(found->second.owner).used -= found->second.bytes;
  blocks.erase(found);
  return true;
}

bool register_memory(void* at, std::size_t bytes) {
  const auto* first = static_cast<const std::byte*>(at);
  const auto before = blocks.lower_bound(first + bytes - 1);  // the last that begins within or before
  if (before != blocks.end() && before->first + before->second.bytes > first) return false;
  Block& block = blocks[first];
  block.bytes = bytes;
  return true;
}

bool unregister_memory(void* at) {
  const auto found = blocks.find(static_cast<std::byte*>(at));
  if (found == blocks.end() || found->second.memory) return false;
  blocks.erase(found);
  return true;
}

Owner owner_of(const void* at, std::size_t bytes) {
  const auto* first = static_cast<const std::byte*>(at);
  const auto found = blocks.lower_bound(first);
  if (found == blocks.end() || first + bytes > found->first + found->second.bytes) return {};
  return {true, found->second.owner};
}

std::size_t free_bytes(int owner) {
  const Pool& pool = pool_of(owner);
  return pool.total > pool.used ? pool.total - pool.used : 0;
}
std::size_t total_bytes(int owner) { return pool_of(owner).total; }
void set_total_bytes(int owner, std::size_t bytes) { pool_of(owner).total = bytes == 0 ? unlimited : bytes; }

}  // namespace cuda_emulation

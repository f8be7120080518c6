#include <doctest/doctest.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "tests/engine/pipeline/rig.h"

namespace {

/// Blocks as large as a tensor here, asked of the heap while counting is on.
constexpr std::size_t tensor_bytes = 4096;
std::atomic<bool> counting{false};
std::atomic<int> large_blocks{0};

// The address sanitizer has operators of its own, which cannot be replaced by halves: there only the devices' own
// counts are looked at.
#ifdef __SANITIZE_ADDRESS__
constexpr bool heap_is_counted = false;
#else
constexpr bool heap_is_counted = true;

void* counted(std::size_t bytes, std::size_t alignment) {
  if (counting && bytes >= tensor_bytes) ++large_blocks;
  void* block = alignment > alignof(std::max_align_t)
                    ? std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment)
                    : std::malloc(bytes ? bytes : 1);
  if (!block) throw std::bad_alloc();
  return block;
}
#endif

}  // namespace

#ifndef __SANITIZE_ADDRESS__
void* operator new(std::size_t bytes) { return counted(bytes, 0); }
void* operator new[](std::size_t bytes) { return counted(bytes, 0); }
void* operator new(std::size_t bytes, std::align_val_t alignment) {
  return counted(bytes, static_cast<std::size_t>(alignment));
}
void* operator new[](std::size_t bytes, std::align_val_t alignment) {
  return counted(bytes, static_cast<std::size_t>(alignment));
}
void operator delete(void* block) noexcept { std::free(block); }
void operator delete[](void* block) noexcept { std::free(block); }
void operator delete(void* block, std::size_t) noexcept { std::free(block); }
void operator delete[](void* block, std::size_t) noexcept { std::free(block); }
void operator delete(void* block, std::align_val_t) noexcept { std::free(block); }
void operator delete[](void* block, std::align_val_t) noexcept { std::free(block); }
void operator delete(void* block, std::size_t, std::align_val_t) noexcept { std::free(block); }
void operator delete[](void* block, std::size_t, std::align_val_t) noexcept { std::free(block); }
#endif

using namespace lenet_flow;
using namespace lenet_flow::test;

TEST_CASE("no tensor is allocated after the first batch, and the devices hold what was planned") {
  const Rig rig(graph_text(R"("a": {"kind": "cpu", "cores": 1}, "b": {"kind": "cpu", "cores": 1})",
                           R"({"name": "conv", "type": "conv2d", "out_channels": 8, "kernel": 3, "device": "a"},
                              {"name": "relu", "type": "relu", "device": "a"},
                              {"name": "pool", "type": "max_pool", "kernel": 2, "device": "a"},
                              {"name": "flat", "type": "flatten", "device": "b"},
                              {"name": "fc1", "type": "dense", "out_features": 20, "device": "b"},
                              {"name": "fc2", "type": "dense", "out_features": 4, "device": "b"})",
                           R"("micro_batch": 4)"));
  PipelineOptions options = rig.options("gpipe");
  options.on_step = [](const StepFacts& step) {
    if (step.batch == 1) counting = true;
  };
  const auto pipeline = rig.pipeline(options);
  std::size_t allocations = 0;
  for (int i = 0; i < rig.devices().size(); ++i) {
    CHECK(rig.devices().device(i).allocated_bytes() == pipeline->plan().device_bytes(i));
    allocations += rig.devices().device(i).allocations();
  }
  pipeline->run(rig.request(40));
  counting = false;
  CHECK(large_blocks == 0);
  std::size_t after = 0;
  for (int i = 0; i < rig.devices().size(); ++i) after += rig.devices().device(i).allocations();
  CHECK(after == allocations);

  if (!heap_is_counted) return;
  counting = true;  // the count itself works
  const std::vector<float> tensor(tensor_bytes);
  counting = false;
  CHECK(large_blocks == 1);
}

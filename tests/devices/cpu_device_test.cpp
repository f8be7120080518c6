#include "devices/cpu_device.h"

#include <doctest/doctest.h>
#include <sched.h>

#include <atomic>
#include <cstdint>
#include <stdexcept>
#include <vector>

#include "devices/machine.h"

using namespace lenet_flow;

namespace {

std::vector<int> first_cores(std::size_t count) {
  std::vector<int> cores = Machine::here().cores();
  cores.resize(std::min(cores.size(), count));
  return cores;
}

}  // namespace

TEST_CASE("the machine has cores, memory and a model") {
  const Machine& machine = Machine::here();
  CHECK(!machine.cores().empty());
  CHECK(machine.memory_bytes() > (1u << 20));
  CHECK(Machine::available_bytes() > 0);
  CHECK(!machine.cpu_model().empty());
}

TEST_CASE("a CPU device's host thread and its kernels stay on the device's cores") {
  CpuDevice device("cpu0", {Machine::here().cores().back()});
  auto& queue = static_cast<CpuQueue&>(device.queue());
  bool elsewhere = false;
  device.run_host([&] {
    queue.parallel_for(1000, 1, [&](std::int64_t, std::int64_t, int) {
      elsewhere = elsewhere || sched_getcpu() != device.cores()[0];
    });
  });
  CHECK_FALSE(elsewhere);
}

TEST_CASE("parallel_for covers every index once, with worker numbers below cores()") {
  CpuDevice device("cpu0", first_cores(2));
  auto& queue = static_cast<CpuQueue&>(device.queue());
  CHECK(queue.cores() == static_cast<int>(device.cores().size()));
  std::vector<std::atomic<int>> visits(1003);
  std::atomic<bool> worker_out_of_range = false, ragged_piece = false;
  device.run_host([&] {
    queue.parallel_for(1003, 10, [&](std::int64_t begin, std::int64_t end, int worker) {
      if (worker < 0 || worker >= queue.cores()) worker_out_of_range = true;
      if (begin % 10 != 0 || (end % 10 != 0 && end != 1003)) ragged_piece = true;
      for (std::int64_t i = begin; i < end; ++i) ++visits[static_cast<std::size_t>(i)];
    });
  });
  CHECK_FALSE(worker_out_of_range);
  CHECK_FALSE(ragged_piece);
  for (const auto& count : visits) CHECK(count == 1);
}

TEST_CASE("an exception of a piece comes out of parallel_for") {
  CpuDevice device("cpu0", first_cores(2));
  auto& queue = static_cast<CpuQueue&>(device.queue());
  CHECK_THROWS_AS(device.run_host([&] {
    queue.parallel_for(100, 1, [](std::int64_t, std::int64_t, int) { throw std::runtime_error("broken"); });
  }),
                  std::runtime_error);
}

TEST_CASE("memory is zeroed, aligned and counted") {
  CpuDevice device("cpu0", first_cores(1));
  const std::byte* block = device.allocate(1000);
  CHECK(reinterpret_cast<std::uintptr_t>(block) % 64 == 0);
  bool zero = true;
  for (int i = 0; i < 1000; ++i) zero = zero && block[i] == std::byte{0};
  CHECK(zero);
  CHECK(device.allocated_bytes() == 1000);
  CHECK(device.allocations() == 1);
}

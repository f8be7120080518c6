#include "tests/cuda_emulation/devices.h"

#include <cstdlib>
#include <string_view>

#include "tests/cuda_emulation/memory.h"
#include "tests/cuda_emulation/streams.h"

namespace cuda_emulation {

Order order_of_environment() {
  const char* order = std::getenv("CUDA_EMULATION_ORDER");
  return order && std::string_view(order) == "deferred" ? Order::deferred : Order::immediate;
}

Runtime runtime;
thread_local int current_device = 0;
thread_local cudaError_t last_error = cudaSuccess;
thread_local Counters thread_counters;

cudaError_t refuse(const std::string& problem, cudaError_t error) {
  if (runtime.order == Order::immediate) throw Problem(problem);
  runtime.last_problem = problem;
  return error;
}

bool can_reach(int device, const void* at) {
  const Owner owner = owner_of(at, 0);
  if (!owner.is_known) return false;
  return owner.number == host || owner.number == device ||
         runtime.device(device).reaches[static_cast<std::size_t>(owner.number)];
}

void reset() {
  const std::lock_guard lock(runtime.mutex);
  forget_work();
  runtime.order = order_of_environment();
  runtime.device_count = 2;
  runtime.peers_possible = true;
  runtime.devices = {};
  runtime.last_problem.clear();
  runtime.counters = thread_counters = {};
  last_error = cudaSuccess;
  current_device = 0;
  for (int owner = host; owner < most_devices; ++owner) set_total_bytes(owner, 0);
}

void set_order(Order order) {
  const std::lock_guard lock(runtime.mutex);
  runtime.order = order;
}

void set_device_count(int count) {
  const std::lock_guard lock(runtime.mutex);
  runtime.device_count = count;
}

void set_peer_access_possible(bool possible) {
  const std::lock_guard lock(runtime.mutex);
  runtime.peers_possible = possible;
}

std::string last_problem() {
  const std::lock_guard lock(runtime.mutex);
  return runtime.last_problem;
}

std::size_t free_device_bytes(int device) {
  const std::lock_guard lock(runtime.mutex);
  return free_bytes(device);
}

std::size_t total_device_bytes(int device) {
  const std::lock_guard lock(runtime.mutex);
  return total_bytes(device);
}

void set_device_bytes(std::size_t bytes, int device) {
  const std::lock_guard lock(runtime.mutex);
  set_total_bytes(device, bytes);
}

void set_pinned_bytes(std::size_t bytes) {
  const std::lock_guard lock(runtime.mutex);
  set_total_bytes(host, bytes);
}

void fail_operation(int device, std::int64_t number, cudaError_t error) {
  const std::lock_guard lock(runtime.mutex);
  runtime.device(device).fails = {number, error};
}

void hang_operation(int device, std::int64_t number) {
  const std::lock_guard lock(runtime.mutex);
  runtime.device(device).hangs = {number, cudaSuccess};
}

void refuse_operation(int device, std::int64_t number, cudaError_t error) {
  const std::lock_guard lock(runtime.mutex);
  runtime.device(device).refuses = {number, error};
}

Counters counters() {
  const std::lock_guard lock(runtime.mutex);
  return runtime.counters;
}

Counters counters_of_thread() { return thread_counters; }

}  // namespace cuda_emulation

#include <cuda_runtime.h>
#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

using cuda_emulation::Problem;
using cuda_emulation::Shared;

namespace {

/// Numbers in the emulated device's memory, which are the host's too.
template <typename T>
class OnDevice {
 public:
  explicit OnDevice(std::size_t count) : count_(count) {
    REQUIRE(cudaMalloc(&block_, count * sizeof(T)) == cudaSuccess);
    std::fill_n(data(), count, T{});
  }
  ~OnDevice() { cudaFree(block_); }
  OnDevice(const OnDevice&) = delete;
  OnDevice& operator=(const OnDevice&) = delete;

  T* data() const { return static_cast<T*>(block_); }
  std::vector<T> values() const { return {data(), data() + count_}; }

 private:
  void* block_ = nullptr;
  std::size_t count_;
};

template <typename... Parameters, typename... Arguments>
void launch(dim3 grid, dim3 block, void (*kernel)(Parameters...), Arguments... arguments) {
  cudaLaunchConfig_t config;
  config.gridDim = grid;
  config.blockDim = block;
  const cudaError_t result = cudaLaunchKernelEx(&config, kernel, arguments...);
  CHECK(result == cudaSuccess);
}

/// The message of the Problem that a launch throws; empty where it throws none.
template <typename... Parameters, typename... Arguments>
std::string problem(dim3 grid, dim3 block, void (*kernel)(Parameters...), Arguments... arguments) {
  try {
    launch(grid, block, kernel, arguments...);
  } catch (const Problem& found) {
    return found.what();
  }
  return {};
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

// --- Kernels. `with_barriers` false is the mistake that must be found.

__global__ void count_visits(int* visits) {
  const unsigned thread = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
  const unsigned block = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
  ++visits[block * blockDim.x * blockDim.y * blockDim.z + thread];
}

__global__ void write_order(int* order, int* next) {
  order[atomicAdd(next, 1)] = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
}

__global__ void reverse(int* values, bool with_barriers) {
  __shared__ Shared<int> copy[64];
  copy[threadIdx.x] = values[threadIdx.x];
  if (with_barriers) __syncthreads();
  values[threadIdx.x] = copy[blockDim.x - 1 - threadIdx.x];
}

/// Reads first, then writes what others have read.
__global__ void rotate(int* values, bool with_barriers) {
  __shared__ Shared<int> cells[64];
  cells[threadIdx.x] = values[threadIdx.x];
  __syncthreads();
  const int mine = cells[(threadIdx.x + 1) % blockDim.x];
  if (with_barriers) __syncthreads();
  cells[threadIdx.x] = mine;
  __syncthreads();
  values[threadIdx.x] = cells[threadIdx.x];
}

__global__ void all_write_one_cell() {
  __shared__ Shared<int> cell;
  cell = 1;
}

__global__ void read_what_the_last_block_wrote(int* to) {
  __shared__ Shared<int> cell;
  if (blockIdx.x == 0) cell = 5;
  *to = cell;
}

/// Sums a block's values by shuffles and one cell a warp.
__global__ void sum(const float* values, float* sums) {
  __shared__ Shared<float> warps[32];
  float value = values[blockIdx.x * blockDim.x + threadIdx.x];
  for (unsigned distance = 16; distance > 0; distance /= 2) value += __shfl_down_sync(0xFFFFFFFF, value, distance);
  if (threadIdx.x % 32 == 0) warps[threadIdx.x / 32] = value;
  __syncthreads();
  if (threadIdx.x != 0) return;
  float total = 0;
  for (unsigned warp = 0; warp < blockDim.x / 32; ++warp) total += warps[warp];
  sums[blockIdx.x] = total;
}

__global__ void exchange(int* xor_result, double* broadcast) {
  const int lane = static_cast<int>(threadIdx.x % 32);
  xor_result[threadIdx.x] = __shfl_xor_sync(0xFFFFFFFF, static_cast<int>(threadIdx.x), 5);
  broadcast[threadIdx.x] = __shfl_sync(0xFFFFFFFF, lane * 1.5, 7);
}

__global__ void half_of_the_warp_shuffles(int* to) {
  if (threadIdx.x < 16) *to = __shfl_sync(0xFFFFFFFF, 1, 0);
}

__global__ void half_mask(int* to) { *to = __shfl_sync(0x0000FFFF, 1, 0); }

__global__ void only_even_threads_wait() {
  if (threadIdx.x % 2 == 0) __syncthreads();
}

__global__ void two_barriers() {
  if (threadIdx.x % 2 == 0)
    __syncthreads();
  else
    __syncthreads();
}

__global__ void nothing(const float*) {}

template <typename T>
concept can_add_atomically = requires(T* at) {
  atomicAdd(at, T{1});
};
static_assert(can_add_atomically<int> && can_add_atomically<unsigned long long>);
static_assert(!can_add_atomically<float> && !can_add_atomically<double>, "their sums have an order of chance");

}  // namespace

TEST_CASE("every thread of every block runs once, whatever the order") {
  for (const std::uint64_t seed : {0, 1, 2}) {
    cuda_emulation::set_seed(seed);
    const OnDevice<int> visits(3 * 2 * 2 * (8 * 3 * 2));
    launch({3, 2, 2}, {8, 3, 2}, count_visits, visits.data());
    CHECK(visits.values() == std::vector<int>(3 * 2 * 2 * (8 * 3 * 2), 1));
  }
}

TEST_CASE("the order is the seed's: by number for 0, shuffled and repeatable for others") {
  const auto order = [](std::uint64_t seed) {
    cuda_emulation::set_seed(seed);
    const OnDevice<int> numbers(96), next(1);
    launch(3, 32, write_order, numbers.data(), next.data());
    return numbers.values();
  };
  const std::vector<int> by_number = order(0), one = order(1), other = order(2);
  CHECK(std::is_sorted(by_number.begin(), by_number.end()));
  CHECK(one != by_number);
  CHECK(one != other);
  CHECK(order(1) == one);
  std::vector<int> sorted = one;
  std::sort(sorted.begin(), sorted.end());
  CHECK(sorted == by_number);
}

TEST_CASE("races on shared memory are found, in every order; with barriers there are none") {
  const OnDevice<int> values(64);
  const auto fill = [&] {
    for (int i = 0; i < 64; ++i) values.data()[i] = i;
  };
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    cuda_emulation::set_seed(seed);
    fill();
    CHECK(problem(1, 64, reverse, values.data(), true) == "");
    CHECK(values.data()[0] == 63);
    CHECK(values.data()[63] == 0);
    CHECK(problem(1, 64, reverse, values.data(), false) != "");
    fill();
    CHECK(problem(1, 64, rotate, values.data(), true) == "");
    CHECK(values.data()[63] == 0);
    CHECK(contains(problem(1, 64, rotate, values.data(), false), "race on shared memory"));
    CHECK(contains(problem(1, 2, all_write_one_cell), "write one cell with no barrier between"));
  }
  CHECK(problem(4, 1, all_write_one_cell) == "");  // each block has its own
}

TEST_CASE("shared memory holds nothing when a block begins") {
  cuda_emulation::set_seed(0);
  const OnDevice<int> to(1);
  CHECK(problem(1, 1, read_what_the_last_block_wrote, to.data()) == "");
  CHECK(contains(problem(2, 1, read_what_the_last_block_wrote, to.data()), "that its block has not written"));
}

TEST_CASE("a sum by shuffles is right and has the same bits in every order") {
  constexpr unsigned blocks = 5, threads = 128;
  const OnDevice<float> values(blocks * threads), sums(blocks);
  std::vector<double> expected(blocks);
  for (unsigned i = 0; i < blocks * threads; ++i) {
    values.data()[i] = 1.0f / static_cast<float>(1 + i * 7 % 113);
    expected[i / threads] += static_cast<double>(values.data()[i]);
  }
  std::vector<float> first;
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    cuda_emulation::set_seed(seed);
    launch(blocks, threads, sum, values.data(), sums.data());
    if (seed == 0) first = sums.values();
    CHECK(sums.values() == first);
  }
  for (unsigned block = 0; block < blocks; ++block)
    CHECK(first[block] == doctest::Approx(expected[block]).epsilon(1e-6));
}

TEST_CASE("shuffles give what the named lane has") {
  const OnDevice<int> xor_result(64);
  const OnDevice<double> broadcast(64);
  launch(1, 64, exchange, xor_result.data(), broadcast.data());
  for (int thread = 0; thread < 64; ++thread) {
    CHECK(xor_result.data()[thread] == (thread ^ 5));
    CHECK(broadcast.data()[thread] == 10.5);
  }
}

TEST_CASE("threads that do not come to a barrier or shuffle are found, and the next launch works") {
  const OnDevice<int> to(64);
  const OnDevice<double> numbers(64);
  for (std::uint64_t seed = 0; seed < 5; ++seed) {
    cuda_emulation::set_seed(seed);
    const std::string ended = problem(2, 8, only_even_threads_wait);
    CHECK(contains(ended, "4 wait at the barrier"));
    CHECK(contains(ended, "emulation_test.cpp:"));
    CHECK(contains(ended, "4 have ended (thread 1 is the first)"));
    CHECK(contains(problem(1, 8, two_barriers), "divergence: thread 0 is at the barrier"));
    CHECK(contains(problem(1, 32, half_of_the_warp_shuffles, to.data()), "16 wait at the shuffle"));
    CHECK(contains(problem(1, 32, half_mask, to.data()), "not one of a whole warp"));
    CHECK(contains(problem(1, 48, exchange, to.data(), numbers.data()), "not one of a whole warp"));
    CHECK(problem(1, 64, reverse, to.data(), true) == "");
  }
}

TEST_CASE("launches that a GPU refuses") {
  CHECK(contains(problem(1, 1025, all_write_one_cell), "a block of 1025 threads"));
  CHECK(contains(problem(1, 0, all_write_one_cell), "a block of 0 threads"));
  CHECK(contains(problem(0, 32, all_write_one_cell), "a grid of 0 x 1 x 1 blocks"));
  CHECK(contains(problem({1, 65536}, 1, all_write_one_cell), "a grid of 1 x 65536 x 1 blocks"));
}

TEST_CASE("the host's memory is not the device's") {
  const float on_host[4] = {};
  const OnDevice<float> on_device(4);
  CHECK(contains(problem(1, 1, nothing, on_host), "not the device's"));
  CHECK(problem(1, 1, nothing, on_device.data()) == "");
  CHECK(problem(1, 1, nothing, on_device.data() + 4) == "");  // the end, as of an empty tensor
  CHECK(problem(1, 1, nothing, nullptr) == "");
  float to[4];
  const std::size_t bytes = sizeof to;
  CHECK(cudaMemcpyAsync(to, on_device.data(), bytes, cudaMemcpyDeviceToHost, nullptr) == cudaSuccess);
  CHECK_THROWS_AS(cudaMemcpyAsync(on_device.data(), on_device.data() + 1, bytes, cudaMemcpyDeviceToDevice, nullptr),
                  Problem);
  CHECK_THROWS_AS(cudaMemcpyAsync(to, on_device.data(), bytes, cudaMemcpyHostToDevice, nullptr), Problem);
  CHECK_THROWS_AS(cudaMemcpyAsync(to, on_host, bytes, cudaMemcpyDeviceToHost, nullptr), Problem);
  CHECK_THROWS_AS(cudaMemsetAsync(to, 0, bytes, nullptr), Problem);
}

TEST_CASE("a full device refuses memory") {
  const std::size_t used = cuda_emulation::total_device_bytes() - cuda_emulation::free_device_bytes();
  cuda_emulation::set_device_bytes(used + 1024);
  void *first = nullptr, *second = nullptr;
  CHECK(cudaMalloc(&first, 1000) == cudaSuccess);
  CHECK(cudaMalloc(&second, 25) == cudaErrorMemoryAllocation);
  CHECK(cudaFree(first) == cudaSuccess);
  CHECK(cudaFree(first) == cudaErrorInvalidValue);
  CHECK(cudaMalloc(&second, 1024) == cudaSuccess);
  CHECK(cudaFree(second) == cudaSuccess);
  cuda_emulation::set_device_bytes(0);
}

#pragma once

#include <cstdint>
#include <stdexcept>

namespace cuda_emulation {

/// What the emulation found: a race, barriers that not all threads reach, memory that is not the device's. In immediate
/// order (emulation.h) it comes out of the launch that it was found in; the message names the kernel's file and line
/// where it can.
class Problem : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// A place in the source, as std::source_location, which not every compiler that reads this has.
struct Site {
  const char* file = "";
  unsigned number = 0;

  static constexpr Site current(const char* of_file = __builtin_FILE(), unsigned of_line = __builtin_LINE()) {
    return {of_file, of_line};
  }
  const char* file_name() const { return file; }
  unsigned line() const { return number; }
};

/// As CUDA's.
struct Index3 {
  unsigned x = 0, y = 0, z = 0;
};
struct Extent3 {
  unsigned x = 1, y = 1, z = 1;
  constexpr Extent3(unsigned along_x = 1, unsigned along_y = 1, unsigned along_z = 1)  // NOLINT: as CUDA's dim3
      : x(along_x), y(along_y), z(along_z) {}
  std::uint64_t count() const { return std::uint64_t{x} * y * z; }
};

/// Begins anew the sequence of choices that order the blocks of a launch, and the threads of a block between barriers:
/// the same launches after the same seed come in the same order, two launches one after the other in different ones.
/// 0: always in the order of their numbers. At the start the seed is 1. Not while other threads make CUDA's calls.
void set_seed(std::uint64_t seed);

/// The sequence's next choice: a number below `count`; 0 where the seed is 0.
unsigned choose(unsigned count);

/// Runs body(context) once for every thread of the grid: block after block, and in a block the threads as fibers that
/// take turns at barriers and shuffles. Throws Problem when the launch is over, or cannot go on.
void run_grid(const Extent3& grid, const Extent3& block, void (*body)(void*), void* context);

/// Where the running thread is. Valid within run_grid().
struct Place {
  Index3 thread, block;
  Extent3 block_extent, grid_extent;
};
inline Place place;

/// __syncthreads() at `site`.
void synchronize_threads(const Site& site);

/// A warp's shuffle at `site`: gives `bits` to the warp and returns those of lane `source`, when all lanes have come.
std::uint64_t shuffle(unsigned mask, std::uint64_t bits, unsigned source, const Site& site);
/// The running thread's number in its warp.
unsigned lane();

/// Reads and writes of one cell of shared memory since the block's last barrier.
class AccessRecord {
 public:
  /// Records an access by the running thread, and a Problem where it races with another's, or where a cell is read that
  /// no thread of this block has written.
  void read();
  void write();

 private:
  std::uint64_t written_at_ = 0, read_at_ = 0;  ///< the phase: barriers and blocks so far
  unsigned writer_ = 0, reader_ = 0;
  bool many_readers_ = false;
};

}  // namespace cuda_emulation

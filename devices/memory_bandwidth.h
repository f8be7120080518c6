#pragma once

#include <vector>

namespace lenet_flow {

/// Bytes a second, read and written ones both counted, as STREAM (McCalpin, 1995) counts them: without what a cache
/// reads before it writes.
struct MemoryBandwidth {
  double copy = 0;   ///< a[i] = b[i], by memcpy
  double triad = 0;  ///< a[i] = b[i] + s c[i]
};

/// What these cores reach together on arrays that are several times the last cache. The best of several rounds, in
/// which all cores begin together; other programs at work make it too low. Throws std::bad_alloc.
MemoryBandwidth measure_memory_bandwidth(const std::vector<int>& cores);

}  // namespace lenet_flow

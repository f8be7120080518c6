#pragma once

#include <cstdint>
#include <string>

#include "engine/graph/diagnostics.h"

namespace lenet_flow {

struct GraphFile;
class Problems;

/// A delay that a run is to make on purpose, as `--inject` or an entry of "pipeline.inject" says it:
///
///     conv2=+200us                     every step of layer conv2 (in F, I, B and W) takes 200 us longer
///     conv2=x1.5                       ... or 1.5 times as long
///     cpu1=x1.5                        so does every action of stages on device cpu1
///     link:conv1->fc=+50us,1GB/s       what crosses the link between two stages takes 50 us and 1 ns a byte
///
/// `layer:` and `device:` tell a layer and a device of one name apart. A link's ends are stages, by their own names or
/// by those of layers in them. Times are in ns, us, ms or s; rates in B/s, kB/s, MB/s, GB/s or TB/s, powers of 1000.
struct InjectEntry {
  enum class Target : std::uint8_t { layer, device, link };
  Target target = Target::layer;
  std::string name;              ///< the layer's or device's
  std::string from, to;          ///< of a link: stages or layers
  std::int64_t nanoseconds = 0;  ///< longer; a link's latency
  double factor = 1;             ///< times as long
  double bytes_per_second = 0;   ///< of a link; 0: no limit
  std::string text;              ///< as it was written
  SourceLocation where;
};

/// Reads one entry and adds it to the file's; adds a problem where it is wrong or names no layer or device of the file.
/// After layers and devices were read. Links are checked against the stages by resolve_delays().
void read_inject(GraphFile& file, const std::string& text, const SourceLocation& where, const std::string& field,
                 Problems& problems);

}  // namespace lenet_flow

#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/graph/network.h"
#include "engine/trace/clock.h"
#include "engine/training/result.h"

namespace lenet_flow {

/// How much longer something takes on purpose.
struct Delay {
  Nanoseconds longer = 0;
  double factor = 1;

  /// Of what took `took` without it.
  Nanoseconds extra(Nanoseconds took) const {
    return longer + static_cast<Nanoseconds>((factor - 1) * static_cast<double>(took));
  }
};

/// A link between stages that is slower on purpose.
struct LinkDelay {
  int from = 0, to = 0;  ///< stages
  Nanoseconds latency = 0;
  double bytes_per_second = 0;                         ///< 0: no limit
  std::int64_t forward_bytes = 0, backward_bytes = 0;  ///< of one image: activations to `to`, gradients to `from`
};

/// The delays of a run, made to fit a network: what `--inject` and "pipeline.inject" come to.
struct InjectedDelays {
  std::vector<Delay> layers;              ///< one a layer of the network; empty where nothing is injected
  std::map<std::string, double> devices;  ///< name in the file -> times as long
  std::vector<LinkDelay> links;
  std::vector<InjectedResult> results;  ///< for outputs

  double device_factor(const std::string& name) const {
    const auto found = devices.find(name);
    return found == devices.end() ? 1.0 : found->second;
  }
};

/// Of two entries for one thing the later counts: --inject changes what the file says. A layer that is split is delayed
/// in all its parts. Throws InputError with every link that is not there.
InjectedDelays resolve_delays(const Network& network, const std::vector<InjectEntry>& entries);

/// A slow link at work, each way for itself (full duplex), all replicas' micro-batches one after another: one that is
/// sent occupies the link for bytes / rate, once the link is free, and arrives after the latency on top.
class SlowLink {
 public:
  explicit SlowLink(const LinkDelay& delay) : delay_(delay) {}

  const LinkDelay& delay() const { return delay_; }
  /// When `images` images arrive that are sent now. From any thread.
  Nanoseconds send(Nanoseconds now, bool forward, std::int64_t images);
  /// How long they occupy the link and travel.
  Nanoseconds transfer_time(bool forward, std::int64_t images) const {
    return occupied(forward, images) + delay_.latency;
  }

 private:
  Nanoseconds occupied(bool forward, std::int64_t images) const;

  LinkDelay delay_;
  std::atomic<Nanoseconds> free_[2] = {};  ///< when each way is free again: gradients, activations
};

}  // namespace lenet_flow

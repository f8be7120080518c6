#pragma once

#include <memory>
#include <vector>

#include "engine/trace/event_ring.h"
#include "engine/trace/record.h"

namespace lenet_flow {

/// Reads the devices' event rings, puts actions together and hands them to sinks. All calls from one thread; during a
/// pass several times a second, so that the rings do not fill.
class Collector {
 public:
  /// `ring_capacity`: events a device, a power of two.
  explicit Collector(const TracedPipeline& pipeline, std::size_t ring_capacity = std::size_t{1} << 16);

  /// What the device's host thread writes to.
  EventRing& ring(int device) { return *devices_[static_cast<std::size_t>(device)].ring; }
  /// Gets all that is traced from the next pass on. Must outlive this, or be removed.
  void add_sink(TraceSink& sink) { sinks_.push_back(&sink); }
  void remove_sink(TraceSink& sink);

  void begin_pass(const PassTrace& pass);
  void collect();
  /// After the last event of the pass was written.
  PassEnd end_pass(Nanoseconds now);

  /// What reading events and all sinks together took, in all passes so far.
  Nanoseconds spent() const { return spent_; }
  /// Events read in all passes so far.
  std::uint64_t events() const { return events_; }

 private:
  struct Device {
    std::unique_ptr<EventRing> ring;
    ActionRecord action;
    std::vector<StepRecord> steps;
    bool open = false;          ///< an action is being put together
    bool lost = false;          ///< and events before it were lost since `last`
    Nanoseconds last = 0;       ///< time of the last event
    Nanoseconds lost_from = 0;  ///< time of the last event before some were lost
    Nanoseconds slept = 0;
    std::uint64_t lost_before = 0;  ///< the pass
  };

  void take(int number, Device& device, const Event& event);
  void begin_action(Device& device, const Event& event);
  void say_lost(int number, Device& device, Nanoseconds until);
  void end_action(int number, Device& device, const Event& event);

  std::vector<Device> devices_;
  std::vector<TraceSink*> sinks_;
  PassTrace pass_;
  std::uint64_t backward_ = 0, events_ = 0;
  Nanoseconds spent_ = 0;
};

/// What writing one event takes, with reading the clock for it: measured now, in seconds.
double seconds_per_event();

}  // namespace lenet_flow

#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "engine/schedule/schedule.h"
#include "engine/trace/clock.h"

namespace lenet_flow {

/// What an event says. An action writes: what it had waited for (one event for each kind of need), `ready`, `begin`,
/// perhaps `transferred`, one `step` for each of its steps, `end`.
enum class EventType : std::uint8_t {
  input,        ///< need: activations, gradients or pixels; `time` is when they had been sent, by stage `detail`
  transfer,     ///< need: when they had come over the link, where that took time of its own
  credit,       ///< need: admission
  room,         ///< need: place in the links after it and in the buffers that they read
  update,       ///< need: of the parameters, by another replica
  order,        ///< need: the device's action before it had ended
  drained,      ///< first action of a batch: when the last stage had ended the batch before
  read_asked,   ///< F of an entry stage: when the reader was asked for the images
  read_begin,   ///< and began
  read_end,     ///< and ended
  ready,        ///< nothing is missing but the cores
  begin,        ///< has its cores
  transferred,  ///< the copy that it began with has ended
  step,         ///< step `detail` of the action (a layer, the loss) has ended
  end,          ///< the action has ended
  injected,     ///< `time` is a duration: what the action was made to wait on purpose
  asleep,       ///< the host thread went to sleep: it had nothing to do
  awake,        ///< and woke up
  lost,         ///< `micro_batch` events before this one found no room
  submitted,    ///< the action was given to an asynchronous device; `begin` is when that began it
};

/// 24 bytes: a device thread writes some ten of them an action.
struct Event {
  Nanoseconds time = 0;
  std::int32_t micro_batch = 0;  ///< of the pass; for U the batch
  std::int16_t unit = -1;        ///< replica of a stage, numbered through
  std::int16_t detail = -1;      ///< a stage or a step, as the type says
  EventType type = EventType::end;
  ActionKind kind = ActionKind::forward;
};

/// The events of one device: written by its host thread (or by one worker after another, where the flow graph orders
/// them), read by one other thread. No locks, no allocation after construction. When it is full events are dropped and
/// counted, and a `lost` event says so as soon as there is room.
class EventRing {
 public:
  /// `capacity`: events; a power of two.
  explicit EventRing(std::size_t capacity)
      : events_(std::make_unique<Event[]>(capacity)), mask_(capacity - 1), capacity_(capacity) {}

  void write(const Event& event) noexcept {
    const std::uint64_t head = head_.load(std::memory_order_relaxed);
    // Room for a `lost` before it, where one is due.
    if (head + 1 - tail_seen_ >= capacity_) {
      tail_seen_ = tail_.load(std::memory_order_acquire);
      if (head + 1 - tail_seen_ >= capacity_) {
        ++dropped_;
        lost_.fetch_add(1, std::memory_order_relaxed);
        return;
      }
    }
    std::uint64_t next = head;
    if (dropped_ > 0) {
      events_[next++ & mask_] = {event.time, static_cast<std::int32_t>(dropped_), event.unit, -1, EventType::lost, {}};
      dropped_ = 0;
    }
    events_[next++ & mask_] = event;
    head_.store(next, std::memory_order_release);
  }

  /// Calls visit(event) for all that were written, and makes room.
  template <typename Visit>
  void read(Visit&& visit) {
    const std::uint64_t head = head_.load(std::memory_order_acquire);
    std::uint64_t tail = tail_.load(std::memory_order_relaxed);
    for (; tail != head; ++tail) visit(events_[tail & mask_]);
    tail_.store(tail, std::memory_order_release);
  }

  /// Events that found no room so far.
  std::uint64_t lost() const { return lost_.load(std::memory_order_relaxed); }

 private:
  std::unique_ptr<Event[]> events_;
  std::uint64_t mask_, capacity_;
  // Each side's own on a cache line of its own.
  alignas(64) std::atomic<std::uint64_t> head_{0};
  std::uint64_t tail_seen_ = 0, dropped_ = 0;
  std::atomic<std::uint64_t> lost_{0};
  alignas(64) std::atomic<std::uint64_t> tail_{0};
};

}  // namespace lenet_flow

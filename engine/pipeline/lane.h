#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

#include "devices/device.h"
#include "engine/schedule/schedule.h"
#include "engine/trace/clock.h"
#include "engine/trace/event_ring.h"

namespace lenet_flow {

/// What a token says has happened.
enum class Cause : std::uint8_t {
  begin_pass,  ///< to a device: a pass begins
  pixels,      ///< the reader has written the micro-batch's images
  input,       ///< activations or gradients of the micro-batch from stage `from` lie ready
  credit,      ///< the micro-batch is admitted
  room,        ///< the link to stage `from` has room for it
  slot,        ///< stage `from` has ended its work on the micro-batch that used this one's memory
  updated,     ///< to another replica's first F of a batch: the parameters are those after the batch before
  gradients,   ///< to U: another replica's W or B of the batch has ended
  order,       ///< it is its turn on the device
  done,        ///< to a device: an action has ended
};

/// The message of the flow graph: a small handle, addressed to an action. For U `micro_batch` is the batch.
struct Token {
  std::int64_t micro_batch = 0;
  Nanoseconds time = 0;  ///< when it was sent
  int stage = 0;
  int from = -1;  ///< the stage that sent it, where the cause says so
  ActionKind kind = ActionKind::forward;
  Cause cause = Cause::input;
  std::int64_t of = -1;     ///< gradients: the micro-batch of the pass whose they are
  Nanoseconds arrives = 0;  ///< over a link that takes time of its own: when; else 0
};

/// What a look at an asynchronous device found.
enum class Looked {
  idle,     ///< it has nothing to do
  waiting,  ///< it works, and nothing has ended
  moved,    ///< something has ended
};

/// The host thread of one device and its inbox. The thread hands what comes in to a handler, spins for a moment when
/// nothing does (waking a sleeping thread costs 10-15 us, as much as a small stage), then sleeps.
class Lane {
 public:
  /// `open` runs first on the thread, inside the device's arena, and gives the handler: a flow graph that is made
  /// there works there. Exceptions of `open` come out of this constructor. `spin`: before it sleeps; 0 where cores are
  /// shared.
  struct Handler {
    std::function<void(std::span<const Token>)> deliver;
    /// Of an asynchronous device: looks whether what it was given has ended, and sees to what follows. The thread goes
    /// on looking while anything is on its way. Null elsewhere.
    std::function<Looked()> look;
  };
  /// `events`: takes note of when the thread sleeps.
  Lane(Device& device, const std::function<Handler()>& open, Nanoseconds spin, EventRing& events);
  ~Lane() { close(); }
  Lane(const Lane&) = delete;
  Lane& operator=(const Lane&) = delete;

  /// Ends the thread after what is in the inbox was handled. What is posted from then on is handled by nobody. Lanes
  /// that post to one another are all closed before the first of them is destroyed.
  void close();

  /// Puts a token into the inbox. From any thread.
  void post(const Token& token);

 private:
  void run(const Handler& handler);
  bool wait_for_tokens(const Handler& handler, std::vector<Token>& tokens);
  void look_out(const Handler& handler);

  Nanoseconds spin_;
  EventRing& events_;
  std::mutex mutex_;
  std::condition_variable filled_;
  std::vector<Token> inbox_;
  std::atomic<bool> has_tokens_{false};
  bool sleeping_ = false, closing_ = false;
  std::thread thread_;
};

}  // namespace lenet_flow

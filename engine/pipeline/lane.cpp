#include "engine/pipeline/lane.h"

#include <algorithm>
#include <chrono>
#include <future>
#include <thread>
#include <utility>

namespace lenet_flow {
Lane::Lane(Device& device, const std::function<Handler()>& open, Nanoseconds spin, EventRing& events)
    : spin_(spin), events_(events) {
  inbox_.reserve(1024);
  std::promise<void> promise;
  std::future<void> opened = promise.get_future();
  thread_ = std::thread([this, &device, open, promise = std::move(promise)]() mutable {
    device.run_host([&] {
      Handler handler;
      try {
        handler = open();
      } catch (...) {
        promise.set_exception(std::current_exception());
        return;
      }
      promise.set_value();
      run(handler);
    });
  });
  try {
    opened.get();
  } catch (...) {
    thread_.join();
    throw;
  }
}

void Lane::close() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
    has_tokens_.store(true, std::memory_order_release);
  }
  filled_.notify_one();
  thread_.join();
}

void Lane::post(const Token& token) {
  bool wake;
  {
    const std::lock_guard lock(mutex_);
    inbox_.push_back(token);
    has_tokens_.store(true, std::memory_order_release);
    wake = sleeping_;
  }
  if (wake) filled_.notify_one();
}

void Lane::run(const Handler& handler) {
  std::vector<Token> tokens;
  tokens.reserve(1024);
  while (wait_for_tokens(handler, tokens)) handler.deliver(tokens);
}

/// Until there are tokens, or nothing to look out for in the next moment.
void Lane::look_out(const Handler& handler) {
  // Naps get longer with the wait, so that they never make up more than a part of it.
  constexpr Nanoseconds patience = 200'000, longest_nap = 1'000'000;
  if (!handler.look && has_tokens_.load(std::memory_order_acquire)) return;
  Nanoseconds moved = steady_now();
  do {
    const Looked looked = handler.look ? handler.look() : Looked::idle;
    const Nanoseconds now = steady_now();
    if (looked == Looked::moved)
      moved = now;
    else if (looked == Looked::waiting && now - moved > patience)
      std::this_thread::sleep_for(std::chrono::nanoseconds(std::min((now - moved) / 16, longest_nap)));
    else if (looked == Looked::idle && now - moved >= spin_)
      return;
    else
      pause_a_moment();
  } while (!has_tokens_.load(std::memory_order_acquire));
}

bool Lane::wait_for_tokens(const Handler& handler, std::vector<Token>& tokens) {
  tokens.clear();
  look_out(handler);
  std::unique_lock lock(mutex_);
  const auto filled = [this] { return !inbox_.empty() || closing_; };
  if (!filled()) {
    events_.write({.time = steady_now(), .type = EventType::asleep});
    sleeping_ = true;
    filled_.wait(lock, filled);
    sleeping_ = false;
    events_.write({.time = steady_now(), .type = EventType::awake});
  }
  tokens.swap(inbox_);
  has_tokens_.store(closing_, std::memory_order_release);
  return !tokens.empty();
}

}  // namespace lenet_flow

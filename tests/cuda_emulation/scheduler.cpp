#include "tests/cuda_emulation/scheduler.h"

#include <algorithm>
#include <array>
#include <memory>
#include <numeric>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "tests/cuda_emulation/fiber.h"

namespace cuda_emulation {
namespace {

constexpr unsigned warp_lanes = 32, most_threads = 1024;

std::string text_of(const Site& site) { return std::string(site.file_name()) + ":" + std::to_string(site.line()); }

bool same_place(const Site& a, const Site& b) {
  return a.line() == b.line() && std::string_view(a.file_name()) == b.file_name();
}

struct Worker;
/// What a worker's fiber does.
void run_worker(Worker& worker);

/// A fiber that runs threads from their beginning, one after another, until one of them has to wait.
struct Worker {
  Fiber fiber{[](void* worker) { run_worker(*static_cast<Worker*>(worker)); }, this};
};

struct Thread {
  enum class State { unstarted, runs, at_barrier, at_shuffle, ended };
  State state = State::unstarted;
  Worker* worker = nullptr;
  Site site;  ///< of the barrier or shuffle
};

struct Warp {
  std::array<std::array<std::uint64_t, warp_lanes>, 2>
      bits{};  ///< of this shuffle and, while some still read, the last
  unsigned arrived = 0, shuffles = 0;
};

class Scheduler {
 public:
  void run_grid(const Extent3& grid, const Extent3& block, void (*body)(void*), void* context);
  void synchronize(const Site& site);
  std::uint64_t shuffle(unsigned mask, std::uint64_t bits, unsigned source, const Site& site);
  void set_seed(std::uint64_t seed) {
    in_order_ = seed == 0;
    random_.seed(static_cast<std::mt19937::result_type>(seed));
  }
  unsigned choose(unsigned count) { return in_order_ ? 0 : static_cast<unsigned>(random_() % count); }
  void report(std::string problem) {
    if (problem_.empty()) problem_ = std::move(problem);
  }
  [[noreturn]] void work(Worker& worker);

  std::uint64_t phase = 0, first_phase = 0;  ///< now, and when the block began
  unsigned running = 0;                      ///< number of the running thread in its block

 private:
  void let_run(unsigned thread);
  void run_block();
  void start_or_resume();
  unsigned take_ready();
  void wait(Thread::State state, const Site& site);
  void release(unsigned first, unsigned count, const char* what);
  std::string what_all_wait_for() const;
  template <typename Numbers>
  void shuffle_order(Numbers& numbers) {
    if (!in_order_) std::shuffle(numbers.begin(), numbers.end(), random_);
  }

  void (*body_)(void*) = nullptr;
  void* context_ = nullptr;
  unsigned threads_in_block_ = 0;
  std::vector<unsigned> order_;  ///< in which threads start
  std::size_t started_ = 0, ended_ = 0;
  unsigned at_barrier_ = 0;
  std::vector<unsigned> ready_;  ///< came through a barrier or shuffle and may go on
  std::vector<Thread> threads_;
  std::vector<Warp> warps_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::vector<Worker*> idle_;
  std::mt19937 random_{1};
  bool in_order_ = false;
  std::string problem_;
};

Scheduler scheduler;

void run_worker(Worker& worker) { scheduler.work(worker); }

void Scheduler::work(Worker& worker) {
  for (;;) {
    let_run(order_[started_++]);
    threads_[running].worker = &worker;
    body_(context_);
    threads_[running].state = Thread::State::ended;
    ++ended_;
    if (started_ < order_.size() && ready_.empty()) continue;
    idle_.push_back(&worker);
    worker.fiber.leave();
  }
}

void Scheduler::let_run(unsigned thread) {
  const Extent3& block = place.block_extent;
  running = thread;
  place.thread = {thread % block.x, thread / block.x % block.y, thread / block.x / block.y};
  threads_[thread].state = Thread::State::runs;
}

void Scheduler::run_grid(const Extent3& grid, const Extent3& block, void (*body)(void*), void* context) {
  if (block.count() == 0 || block.count() > most_threads)
    throw Problem("a block of " + std::to_string(block.count()) + " threads; 1 to 1024 are allowed");
  if (grid.count() == 0 || grid.y > 65535 || grid.z > 65535)
    throw Problem("a grid of " + std::to_string(grid.x) + " x " + std::to_string(grid.y) + " x " +
                  std::to_string(grid.z) + " blocks");
  place.grid_extent = grid;
  place.block_extent = block;
  body_ = body;
  context_ = context;
  threads_in_block_ = static_cast<unsigned>(block.count());
  problem_.clear();
  std::vector<std::uint64_t> blocks(grid.count());
  std::iota(blocks.begin(), blocks.end(), 0);
  shuffle_order(blocks);
  for (const std::uint64_t number : blocks) {
    place.block = {static_cast<unsigned>(number % grid.x), static_cast<unsigned>(number / grid.x % grid.y),
                   static_cast<unsigned>(number / grid.x / grid.y)};
    run_block();
    if (!problem_.empty()) throw Problem(problem_);
  }
}

void Scheduler::run_block() {
  first_phase = ++phase;
  order_.resize(threads_in_block_);
  std::iota(order_.begin(), order_.end(), 0);
  shuffle_order(order_);
  threads_.assign(threads_in_block_, {});
  warps_.assign((threads_in_block_ + warp_lanes - 1) / warp_lanes, {});
  ready_.clear();
  started_ = ended_ = 0;
  at_barrier_ = 0;
  while (started_ < order_.size() || !ready_.empty()) start_or_resume();
  if (ended_ == threads_in_block_) return;
  report(what_all_wait_for());
  workers_.clear();  // the fibers that wait will never go on
  idle_.clear();
}

void Scheduler::start_or_resume() {
  const bool can_start = started_ < order_.size();
  if (can_start && (ready_.empty() || in_order_ || (random_() & 1) != 0)) {
    if (idle_.empty()) {
      workers_.push_back(std::make_unique<Worker>());
      idle_.push_back(workers_.back().get());
    }
    Worker* worker = idle_.back();
    idle_.pop_back();
    worker->fiber.resume();
  } else {
    let_run(take_ready());
    threads_[running].worker->fiber.resume();
  }
}

unsigned Scheduler::take_ready() {
  const std::size_t at = choose(static_cast<unsigned>(ready_.size()));
  const unsigned thread = ready_[at];
  if (in_order_) {
    ready_.erase(ready_.begin());
  } else {
    ready_[at] = ready_.back();
    ready_.pop_back();
  }
  return thread;
}

void Scheduler::wait(Thread::State state, const Site& site) {
  const unsigned self = running;
  threads_[self].state = state;
  threads_[self].site = site;
  threads_[self].worker->fiber.leave();
}

/// Lets threads [first, first + count), which all wait, go on. They must have come to the same place of the source.
void Scheduler::release(unsigned first, unsigned count, const char* what) {
  for (unsigned thread = first; thread < first + count; ++thread) {
    if (!same_place(threads_[thread].site, threads_[first].site))
      report("divergence: thread " + std::to_string(first) + " is at " + what + " " + text_of(threads_[first].site) +
             ", thread " + std::to_string(thread) + " at " + text_of(threads_[thread].site));
    ready_.push_back(thread);
  }
}

void Scheduler::synchronize(const Site& site) {
  threads_[running].site = site;
  if (++at_barrier_ == threads_in_block_) {
    at_barrier_ = 0;
    ++phase;
    release(0, threads_in_block_, "the barrier");
  }
  wait(Thread::State::at_barrier, site);
}

std::uint64_t Scheduler::shuffle(unsigned mask, std::uint64_t bits, unsigned source, const Site& site) {
  const unsigned first = running / warp_lanes * warp_lanes, own_lane = running % warp_lanes;
  Warp& warp = warps_[running / warp_lanes];
  if (mask != 0xFFFFFFFF || first + warp_lanes > threads_in_block_) {
    report("the shuffle at " + text_of(site) + " is not one of a whole warp of 32 threads");
    return bits;
  }
  auto& exchanged = warp.bits[warp.shuffles % 2];
  exchanged[own_lane] = bits;
  threads_[running].site = site;
  if (++warp.arrived == warp_lanes) {
    warp.arrived = 0;
    ++warp.shuffles;
    release(first, warp_lanes, "the shuffle");
  }
  wait(Thread::State::at_shuffle, site);
  return exchanged[source];
}

std::string Scheduler::what_all_wait_for() const {
  std::string text = "divergence: no thread can go on;";
  constexpr std::array states{Thread::State::at_barrier, Thread::State::at_shuffle, Thread::State::ended};
  constexpr std::array words{"wait at the barrier", "wait at the shuffle", "have ended"};
  for (std::size_t i = 0; i < states.size(); ++i) {
    const auto in_state = [&](const Thread& thread) { return thread.state == states[i]; };
    const auto count = std::count_if(threads_.begin(), threads_.end(), in_state);
    if (count == 0) continue;
    const auto first = std::find_if(threads_.begin(), threads_.end(), in_state);
    text += " " + std::to_string(count) + " " + words[i];
    if (states[i] != Thread::State::ended) text += " " + text_of(first->site);
    text += " (thread " + std::to_string(first - threads_.begin()) + " is the first);";
  }
  text.pop_back();
  return text;
}

}  // namespace

void set_seed(std::uint64_t seed) { scheduler.set_seed(seed); }

unsigned choose(unsigned count) { return scheduler.choose(count); }

void run_grid(const Extent3& grid, const Extent3& block, void (*body)(void*), void* context) {
  scheduler.run_grid(grid, block, body, context);
}

unsigned lane() { return scheduler.running % warp_lanes; }

void synchronize_threads(const Site& site) { scheduler.synchronize(site); }

std::uint64_t shuffle(unsigned mask, std::uint64_t bits, unsigned source, const Site& site) {
  return scheduler.shuffle(mask, bits, source, site);
}

void AccessRecord::read() {
  const unsigned thread = scheduler.running;
  if (written_at_ == scheduler.phase && writer_ != thread)
    scheduler.report("race on shared memory: thread " + std::to_string(thread) + " reads what thread " +
                     std::to_string(writer_) + " writes, with no barrier between");
  if (written_at_ < scheduler.first_phase)
    scheduler.report("thread " + std::to_string(thread) + " reads shared memory that its block has not written");
  many_readers_ = read_at_ == scheduler.phase && (many_readers_ || reader_ != thread);
  read_at_ = scheduler.phase;
  reader_ = thread;
}

void AccessRecord::write() {
  const unsigned thread = scheduler.running;
  if (written_at_ == scheduler.phase && writer_ != thread)
    scheduler.report("race on shared memory: threads " + std::to_string(writer_) + " and " + std::to_string(thread) +
                     " write one cell with no barrier between");
  if (read_at_ == scheduler.phase && (many_readers_ || reader_ != thread))
    scheduler.report("race on shared memory: thread " + std::to_string(thread) + " writes what thread " +
                     std::to_string(reader_) + " reads, with no barrier between");
  written_at_ = scheduler.phase;
  writer_ = thread;
}

}  // namespace cuda_emulation

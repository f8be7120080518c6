#include "engine/pipeline/watchdog.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "engine/pipeline/device_flow.h"
#include "engine/pipeline/stage_runner.h"

namespace lenet_flow {
namespace {

constexpr auto relaxed = std::memory_order_relaxed;
constexpr Nanoseconds second = 1'000'000'000;
constexpr int looks_that_agree = 5;

bool reading(const RunState& state) { return state.reads_ended.load(relaxed) < state.reads_begun.load(relaxed); }

}  // namespace

void Watchdog::begin(Nanoseconds now) {
  ended_ = ended();
  since_ = now;
  looks_ = 0;
}

std::int64_t Watchdog::ended() const {
  std::int64_t sum = state_.reads_ended.load(relaxed);
  for (const auto& unit : state_.units) sum += unit->actions_done.load(relaxed);
  return sum;
}

bool Watchdog::running() const {
  return reading(state_) || std::any_of(state_.turns.begin(), state_.turns.end(), [](const auto& turn) {
           return turn->running_since.load(relaxed) != 0 || turn->copies.load(relaxed) != 0;
         });
}

Nanoseconds Watchdog::limit() const {
  if (seconds_ > 0) return static_cast<Nanoseconds>(seconds_ * static_cast<double>(second));
  Nanoseconds slowest = state_.slowest_read.load(relaxed);
  bool first_of_its_kind = reading(state_) && slowest == 0;
  for (const auto& unit : state_.units) {
    const DeviceTurn& turn = *state_.turns[static_cast<std::size_t>(unit->device)];
    for (int kind = 0; kind < action_kinds; ++kind) {
      const Nanoseconds seen = unit->slowest[kind].load(relaxed);
      slowest = std::max(slowest, seen);
      first_of_its_kind = first_of_its_kind || (seen == 0 && turn.running_since.load(relaxed) != 0 &&
                                                turn.running.stage.load(relaxed) == unit->stage &&
                                                static_cast<int>(turn.running.kind.load(relaxed)) == kind);
    }
  }
  return std::max(10 * slowest, first_of_its_kind ? 60 * second : second) + state_.injected_at_most;
}

std::string Watchdog::look(Nanoseconds now) {
  if (const std::int64_t ended_by_now = ended(); ended_by_now != ended_) {
    begin(now);
    return {};
  }
  if (++looks_ < looks_that_agree || now - since_ < limit()) return {};
  return account(static_cast<double>(now - since_) / static_cast<double>(second));
}

std::string Watchdog::account(double seconds) const {
  std::string text = fmt::format("nothing has moved for {:.1f} s", seconds);
  for (std::size_t device = 0; device < state_.turns.size(); ++device) {
    const DeviceTurn& turn = *state_.turns[device];
    if (const int copies = turn.copies.load(relaxed); copies > 0)
      text += fmt::format("; {} cop{} to or from device '{}' {} not ended", copies, copies == 1 ? "y" : "ies",
                          state_.devices[device]->name(), copies == 1 ? "has" : "have");
    const bool runs = turn.running_since.load(relaxed) != 0;
    const DeviceTurn::At& at = runs ? turn.running : turn.next;
    const int stage = at.stage.load(relaxed);
    if (stage < 0) continue;
    std::string name;
    for (const auto& unit : state_.units)
      if (unit->device == static_cast<int>(device) && unit->stage == stage)
        name = unit->worker.memory().device().name();
    text +=
        fmt::format("; stage '{}' on device '{}' ", state_.network.stages[static_cast<std::size_t>(stage)].name, name);
    const std::string action = StageRunner::action_text(state_, at.kind.load(relaxed), at.micro_batch.load(relaxed));
    const auto missing = state_.flows[device]->missing();
    if (runs)
      text += fmt::format("has not ended its {}", action);
    else if (missing.empty())
      text += fmt::format("has not begun its {}, though nothing is missing", action);
    else
      text += fmt::format("waits, for its {}, for {}", action, fmt::join(missing, " and "));
  }
  if (reading(state_)) text += "; the reader is busy with images";
  return text;
}

}  // namespace lenet_flow

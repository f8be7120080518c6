#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/pipeline/token_rules.h"

namespace lenet_flow {

/// Counts the tokens of one kind of action of one unit, micro-batch by micro-batch, until an action has all it needs.
/// One thread adds; any thread may ask what is missing.
class TokenGate {
 public:
  TokenGate(const RunState& state, const UnitState& unit, ActionKind kind);

  /// For a new pass.
  void reset();
  /// Takes a token in; true where the action now may run: `arrivals` then says when what it waited for had come.
  bool add(const Token& token, Arrivals& arrivals);
  /// Lines for the watchdog: what an action has not got yet.
  std::vector<std::string> missing(std::int64_t micro_batch) const;

 private:
  struct Gathered {
    std::atomic<std::uint64_t> inputs{0}, rooms{0}, slots{0};
    std::atomic<int> gradients{0};
    std::atomic<bool> pixels{false}, credit{false}, updated{false}, order{false};
    Arrivals arrivals;

    Needs needs() const;
    void clear();
  };
  Gathered& at(std::int64_t micro_batch) const { return gathered_[static_cast<std::size_t>(micro_batch) % size_]; }

  const RunState& state_;
  const UnitState& unit_;
  const StageFacts& stage_;
  ActionKind kind_;
  std::size_t size_;
  std::unique_ptr<Gathered[]> gathered_;
};

}  // namespace lenet_flow

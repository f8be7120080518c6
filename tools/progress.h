#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "engine/training/trainer.h"
#include "tools/terminal.h"

namespace lenet_flow {

/// How much a command says beside its result.
enum class Verbosity { quiet, normal, verbose };

/// One line on standard error that is written over and over on a terminal, and lines that stay above it.
class LiveLine {
 public:
  explicit LiveLine(const Terminal& terminal) : terminal_(terminal) {}
  ~LiveLine() { clear(); }
  LiveLine(const LiveLine&) = delete;
  LiveLine& operator=(const LiveLine&) = delete;

  /// Shows `text` in place of what was there. Only for terminals.
  void show(const std::string& text);
  void clear();
  /// A line that stays.
  void keep(const std::string& line);
  const Terminal& terminal() const { return terminal_; }

 private:
  Terminal terminal_;
  bool shown_ = false;
};

/// What `run`, `eval` and `verify` show while they work: a live line on a terminal, a plain line every ten seconds
/// otherwise, and one for each epoch that ended. Nothing where quiet; warnings always.
class ProgressDisplay {
 public:
  using Clock = std::chrono::steady_clock;

  ProgressDisplay(const Terminal& terminal, Verbosity verbosity) : line_(terminal), verbosity_(verbosity) {}

  void update(const Progress& progress, Clock::time_point now = Clock::now());
  void warn(const std::string& warning);
  /// Before results are printed.
  void clear() { line_.clear(); }

 private:
  LiveLine line_;
  Verbosity verbosity_;
  std::optional<Clock::time_point> shown_;
};

/// "[=====>    ]", `columns` wide with the brackets.
std::string bar_text(double share, std::size_t columns, bool unicode);

/// "epoch 2/10 [=====>    ] 34,560/60,000  12,345 images/s  loss 0.1234  1 min 02 s left", at most as wide as the
/// terminal.
std::string progress_text(const Progress& progress, const Terminal& terminal);
/// "epoch 2/10: loss 0.1234, test loss 0.0987, test accuracy 97.10%, 12,345 images/s, 4.86 s".
std::string epoch_text(const EpochResult& epoch, int epochs);

}  // namespace lenet_flow

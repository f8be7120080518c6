#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "engine/graph/diagnostics.h"

namespace lenet_flow {

/// Collects everything that is wrong with an input, to be thrown at once. Keeps the first `most` and counts the rest,
/// so that a file with a million errors costs neither memory nor time.
class Problems {
 public:
  static constexpr std::size_t most = 50;

  void add(SourceLocation where, std::string field, std::string message) {
    if (full())
      ++more_;
    else
      found_.emplace_back(std::move(where), std::move(field), std::move(message));
  }

  /// All of `others` too.
  void add(Problems&& others) {
    for (Diagnostic& diagnostic : others.found_)
      add(std::move(diagnostic.where), std::move(diagnostic.field), std::move(diagnostic.message));
    more_ += others.more_;
  }

  bool empty() const { return found_.empty(); }
  /// True where a further problem is only counted: its message need not be made.
  bool full() const { return found_.size() >= most; }

  /// Throws InputError with all problems in the order of their places; does nothing where there are none.
  void throw_if_any();

 private:
  std::vector<Diagnostic> found_;
  std::size_t more_ = 0;
};

}  // namespace lenet_flow

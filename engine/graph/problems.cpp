#include "engine/graph/problems.h"

#include <algorithm>
#include <tuple>

namespace lenet_flow {

void Problems::throw_if_any() {
  if (found_.empty()) return;
  std::stable_sort(found_.begin(), found_.end(), [](const Diagnostic& a, const Diagnostic& b) {
    return std::tie(a.where.line, a.where.column) < std::tie(b.where.line, b.where.column);
  });
  throw InputError(std::move(found_), more_);
}

}  // namespace lenet_flow

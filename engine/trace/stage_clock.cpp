#include "engine/trace/stage_clock.h"

namespace lenet_flow {

void StageClock::begin_pass(Nanoseconds now) {
  at_ = now;
  last_batch_ = -1;
}

StateSeconds StageClock::seconds() const {
  StateSeconds states;
  for (std::size_t i = 0; i < spent_.size(); ++i)
    states.*time_states[i].seconds = static_cast<double>(spent_[i]) * 1e-9;
  return states;
}

}  // namespace lenet_flow

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace lenet_flow {

/// Where time went: exclusive states, in seconds; together they are the length of what they are about (README.md here).
struct StateSeconds {
  double compute = 0, transfer = 0, launch = 0, sync = 0, blocked = 0, starved = 0, no_credit = 0, contended = 0,
         optimizer = 0, fill = 0, drain = 0, unaccounted = 0;

  double sum() const {
    return compute + transfer + launch + sync + blocked + starved + no_credit + contended + optimizer + fill + drain +
           unaccounted;
  }
};

/// A state of the stall taxonomy by its name.
struct State {
  const char* name;
  double StateSeconds::*seconds;
};
/// All of them, in the order in which tables show them.
inline constexpr std::array time_states{
    State{"compute", &StateSeconds::compute},     State{"transfer", &StateSeconds::transfer},
    State{"launch", &StateSeconds::launch},       State{"sync", &StateSeconds::sync},
    State{"blocked", &StateSeconds::blocked},     State{"starved", &StateSeconds::starved},
    State{"no_credit", &StateSeconds::no_credit}, State{"contended", &StateSeconds::contended},
    State{"optimizer", &StateSeconds::optimizer}, State{"fill", &StateSeconds::fill},
    State{"drain", &StateSeconds::drain},         State{"unaccounted", &StateSeconds::unaccounted},
};

/// The same as numbers: places in time_states.
enum class StallState : std::uint8_t {
  compute,
  transfer,
  launch,
  sync,
  blocked,
  starved,
  no_credit,
  contended,
  optimizer,
  fill,
  drain,
  unaccounted,
};
inline const char* word(StallState state) { return time_states[static_cast<std::size_t>(state)].name; }

}  // namespace lenet_flow

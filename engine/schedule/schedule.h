#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace lenet_flow {

/// What a stage can do for one micro-batch. The letters are PyTorch's (torch.distributed.pipelining); the Zero-Bubble
/// papers call I "B".
enum class ActionKind : std::uint8_t {
  forward,              ///< F
  input_gradients,      ///< I
  parameter_gradients,  ///< W
  backward,             ///< B: I and W as one
  update,               ///< U: the optimizer's step, one a stage and batch
};
inline constexpr int action_kinds = 5;

/// 'F', 'I', 'W', 'B' or 'U'.
char letter(ActionKind kind);

/// One action of a batch: a stage, what it does, and for which micro-batch of the batch (0 for an update).
struct Action {
  int stage = 0;
  ActionKind kind = ActionKind::forward;
  int micro_batch = 0;
  bool operator==(const Action&) const = default;

  /// "0F2": stage, letter, micro-batch; an update is "0U".
  std::string text() const;
};

/// For every device the ordered list of its actions in one batch. Plain data; the flow graph enforces it.
using Schedule = std::vector<std::vector<Action>>;

/// What a schedule is made for: stages in a topological order, and where they run.
struct ScheduleShape {
  std::vector<int> device_of_stage;  ///< one a stage; in [0, devices)
  int devices = 1;
  std::vector<std::pair<int, int>> links;  ///< (from, to) between stages
  int micro_batches = 1;                   ///< of the batch
  bool training = true;                    ///< false: forward only

  int stages() const { return static_cast<int>(device_of_stage.size()); }
};

/// A way to make schedules, as registered in generators.cpp.
struct ScheduleType {
  std::string name;  ///< "gpipe"
  std::string help;  ///< one line
  Schedule (*generate)(const ScheduleShape& shape);
  /// Micro-batches that must be in flight for it to run at its best: the default of pipeline.in_flight.
  int (*in_flight)(const ScheduleShape& shape);
  /// Share of the devices' time that stages of equal cost idle; none where no formula is known for the shape.
  std::optional<double> (*bubble)(const ScheduleShape& shape);
};

/// Every registered schedule; the list lives as long as the program.
const std::vector<ScheduleType>& schedule_types();
std::vector<std::string> schedule_names();
/// The schedule of that name, or null.
const ScheduleType* find_schedule_type(std::string_view name);

/// One line a device: "0F0,0F1,0B0,0B1,0U".
std::string schedule_text(const std::vector<Action>& actions);

/// Bounds of the pipeline that can keep a schedule from running.
struct ScheduleLimits {
  int in_flight = 1;      ///< micro-batches admitted at a time
  int link_capacity = 1;  ///< micro-batches that a link holds
};

/// Everything that is wrong with a schedule, one line each; empty where it is right: every action exactly once and on
/// its stage's device, forward before backward, the update last; and, played through without times over three batches,
/// no deadlock under `limits` (the line says what each device waits for).
std::vector<std::string> check_schedule(const Schedule& schedule, const ScheduleShape& shape,
                                        const ScheduleLimits& limits);

/// The largest number of W of one stage that are done before their turn to be added (in micro-batch order) has come:
/// gradients that must be kept apart. 0 where every W comes in order.
int gradients_held_back(const Schedule& schedule, int stage);

/// When each action of one batch runs if every F takes one unit, B two, I and W one, U none: as early as links and
/// the device's order allow. For drawing; the order of the lists is the schedule's.
struct TimedAction {
  Action action;
  int start = 0, end = 0;
};
std::vector<std::vector<TimedAction>> play_schedule(const Schedule& schedule, const ScheduleShape& shape);

}  // namespace lenet_flow

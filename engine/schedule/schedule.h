#pragma once

#include <cstdint>
#include <functional>
#include <limits>
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
/// "forward", "input gradients", "parameter gradients", "backward" or "update".
const char* meaning(ActionKind kind);

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
  /// One list a stage: the device of each of its replicas, in [0, devices). Micro-batch i of a batch belongs to replica
  /// i mod replicas; the update runs on replica 0's device. The replicas of a stage have devices of their own.
  std::vector<std::vector<int>> devices_of_stage;
  int devices = 1;
  std::vector<std::pair<int, int>> links;  ///< (from, to) between stages, each pair once, from < to
  int micro_batches = 1;                   ///< of the batch
  bool training = true;                    ///< false: forward only

  int stages() const { return static_cast<int>(devices_of_stage.size()); }
  int replicas(int stage) const { return static_cast<int>(devices_of_stage[static_cast<std::size_t>(stage)].size()); }
  /// The device that runs an action.
  int device_of(const Action& action) const {
    const auto& devices_of = devices_of_stage[static_cast<std::size_t>(action.stage)];
    return action.kind == ActionKind::update
               ? devices_of[0]
               : devices_of[static_cast<std::size_t>(action.micro_batch) % devices_of.size()];
  }
};

/// How long actions take, in any one unit (seconds, or one F). For simulating, drawing and `auto`.
struct ActionCosts {
  struct StageCosts {
    double forward = 1, input_gradients = 1, parameter_gradients = 1, update = 0;
  };
  std::vector<StageCosts> stages;  ///< one a stage
  /// One a link of the shape: from the end of an action to when what it sent can be read; 0 on one device.
  std::vector<double> transfers;

  /// F, I and W take one unit, B two, U and transfers none.
  static ActionCosts equal(const ScheduleShape& shape);
  /// B is I and W.
  double of(const Action& action) const;
};

/// Memory that bounds `auto` and that the checker checks: how much one micro-batch takes while a stage holds it (from
/// its F to its last action there), what a stage takes whatever is in flight, and what each device has.
struct MemoryLimits {
  std::vector<double> micro_batch_bytes;  ///< one a stage; empty: not known, no limit
  std::vector<double> fixed_bytes;        ///< one a stage, on the device of each replica; empty: none
  std::vector<double> device_bytes;       ///< one a device; empty: no limit
};

/// What a generator may use.
struct ScheduleRequest {
  ScheduleShape shape;
  ActionCosts costs;    ///< `auto` reads them; the named schedules ignore them
  MemoryLimits memory;  ///< `auto` keeps to it
};

/// A way to make schedules, as registered in generators.cpp.
struct ScheduleType {
  std::string name;   ///< "gpipe"
  std::string help;   ///< one line
  std::string paper;  ///< author, title, venue, year; empty for ours
  /// Empty where the placement fits, otherwise the placement that it needs, in words for a user who reads a graph file:
  /// "needs two stages a device ...; here ...".
  std::string (*misfit)(const ScheduleShape& shape);
  /// The lists; the shape has passed misfit(). Any number of micro-batches, any acyclic links. Never deadlocks when as
  /// many micro-batches are in flight as it wants.
  Schedule (*generate)(const ScheduleRequest& request);
  /// Share of the devices' time that stages of equal cost idle in one batch; none where no formula is known for the
  /// shape.
  std::optional<double> (*bubble)(const ScheduleShape& shape);
};

/// Every registered schedule; the list lives as long as the program. `inference` is chosen by the mode alone and
/// `custom` by naming a file; both have find_schedule_type() entries for help, the first is what forward-only shapes
/// get.
const std::vector<ScheduleType>& schedule_types();
std::vector<std::string> schedule_names();
/// The schedule of that name, or null.
const ScheduleType* find_schedule_type(std::string_view name);

/// One device's list: "0F0,0F1,0B0,0B1,0U".
std::string schedule_text(const std::vector<Action>& actions);

/// The schedule for a batch with fewer micro-batches: actions of those that are not there left out. What is left needs
/// nothing that was dropped.
Schedule shortened(const Schedule& schedule, int micro_batches);

/// How many micro-batches a stage (each of its replicas) has room for, by how long each kind of tensor lives. The
/// micro-batch that is the s-th that a replica works on in a pass uses slot s mod n of each kind.
struct StageSlots {
  int activations = 1;  ///< kept inside the stage, from F to the stage's last action of the micro-batch
  int outputs = 1;      ///< read by stages after it, from F to their last actions
  int gradients = 1;    ///< for stages before it, from I or B to their last actions
  bool operator==(const StageSlots&) const = default;
};

/// Bounds of the pipeline that can keep a schedule from running.
struct ScheduleLimits {
  /// Micro-batches admitted at a time: F of micro-batch g (counted through all batches) of a stage that the reader
  /// feeds waits for that stage's last action of g - in_flight.
  int in_flight = 1;
  /// Micro-batches that a link holds: F of g waits for F of g - link_capacity of each stage after it.
  int link_capacity = 1;
  std::vector<StageSlots> slots;  ///< one a stage; empty: no bound
};

/// The rules that order actions, the same for checker, simulator and engine; g counts micro-batches through all
/// batches. Beside its device's list:
///   F(s,g) waits for F(p,g) of every stage p linked to s; for U(s) of the batch before; for the bounds of
///          ScheduleLimits: in_flight (entry stages), link_capacity (F of the stages after it), slots.outputs (the last
///          actions of the stages after it for the micro-batch that had the slot before), slots.activations (its own)
///   I(s,g), B(s,g) wait for F(s,g), for I or B(c,g) of every stage c that s is linked to, and for slots.gradients (the
///   last
///          actions of the stages before it for the micro-batch that had the slot before)
///   W(s,g) waits for I(s,g)
///   U(s) waits for every W and B of s in its batch, on all replicas
/// The last action of a stage for a micro-batch is W or B; in inference F.
/// Everything that is wrong with a schedule, one line each; empty where it is right: every action exactly once and on
/// its own device (B, or I and W, for each micro-batch), F before I, and no deadlock under `limits` in any number of
/// batches, short ones among them. A deadlock is named as the cycle of actions that wait on each other: "deadlock: 0F2
/// waits for 1F0 (link capacity 2), which stands behind 1F1, which waits for 0F1, ...".
std::vector<std::string> check_schedule(const Schedule& schedule, const ScheduleShape& shape,
                                        const ScheduleLimits& limits);

/// The most bytes that each device holds at one time: fixed_bytes of its stages, and micro_batch_bytes from each F to
/// the last action. The lists alone say so, whatever actions take.
std::vector<double> peak_bytes(const Schedule& schedule, const ScheduleShape& shape, const MemoryLimits& memory);
/// One line for each device that peak_bytes() says has not enough; empty where all have.
std::vector<std::string> check_memory(const Schedule& schedule, const ScheduleShape& shape, const MemoryLimits& memory);

/// The largest number of W (or B) of one stage that are done before their turn to be added (in micro-batch order) has
/// come: gradients that must be kept apart. 0 where every W comes in order. With several replicas all are kept until U.
int gradients_held_back(const Schedule& schedule, const ScheduleShape& shape, int stage);

}  // namespace lenet_flow

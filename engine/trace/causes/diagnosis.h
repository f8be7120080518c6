#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/trace/causes/pass_graph.h"
#include "engine/trace/record.h"
#include "engine/trace/states.h"

namespace lenet_flow {

/// What in the end makes a stage wait.
enum class RootKind : std::uint8_t {
  stage,      ///< a stage computes longer than the others
  link,       ///< a link's transfers
  capacity,   ///< a link holds too few micro-batches
  credits,    ///< too few micro-batches are admitted
  reader,     ///< the images come late
  device,     ///< a device, or its cores, is shared and busy with another stage
  optimizer,  ///< an update
  wake_up,    ///< hand-over between host threads
  schedule,   ///< no slower stage: the order of the actions, the filling and draining of every batch
};
/// "stage", "link", ...: the word in tables and JSON.
const char* word(RootKind kind);

/// One root and what it costs.
struct Root {
  RootKind kind = RootKind::schedule;
  int index = -1;      ///< of the stage, link or device; else -1
  std::string name;    ///< "stage 'conv2..fc3' on cpu1", "link 'conv1->fc'", "the schedule"
  double seconds = 0;  ///< of the pass
  double share = 0;    ///< of the pass's length
};

/// Why a pipeline is not faster.
struct Diagnosis {
  /// What the pass would be shorter by without each cause (replay()), largest first. A stage without being slower than
  /// the others' mean, a link without its transfers, and so on; the schedule: what is still idle without all of them.
  std::vector<Root> causes;
  /// One a unit: whom its waiting is charged to (all states but compute), largest first. Sums to its time not in
  /// compute.
  std::vector<std::vector<Root>> waits;
  /// In plain words, with the fix that follows.
  std::string line;
  /// "the first 250 batches of epoch 3".
  std::string basis;
  double measured_seconds = 0;  ///< the pass's length that this is about
  double replayed_seconds = 0;  ///< what replay() makes of it with nothing different: how far the model is right
  /// Of that time no device runs an action: a problem of the host (reader, wake-up, hand-over). A device that is idle
  /// while another computes is one of balance or of the schedule.
  double nobody_computes_seconds = 0;
  double one_device_seconds = 0;  ///< what all the computing would take one after another, with no hand-over
};

/// What a diagnosis works from.
struct DiagnosisRequest {
  const TracedPipeline* pipeline = nullptr;
  const KeptPass* pass = nullptr;
  const RanBy* by = nullptr;
  std::vector<StateSeconds> states;  ///< one a unit, of this pass (EpochAccount::units)
};

/// Empty (no causes, `line` says why) where no whole batch was kept.
Diagnosis diagnose(const DiagnosisRequest& request);

/// The closing line: what waits, why, what it costs, and the fix that follows.
std::string closing_line(const PassGraph& graph, const RanBy& by, const std::vector<StateSeconds>& states,
                         const Diagnosis& diagnosis);

}  // namespace lenet_flow

#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/trace/record.h"

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
  /// What the pass would be shorter by without each cause (played through again without it), largest first.
  std::vector<Root> causes;
  /// One a unit: whom its waiting is charged to (all states but compute), largest first. Sums to its time not in
  /// compute.
  std::vector<std::vector<Root>> waits;
  /// In plain words, with the fix that follows.
  std::string line;
  /// "from the first 50000 actions of epoch 3"; empty where it is of a whole pass.
  std::string basis;
};

}  // namespace lenet_flow

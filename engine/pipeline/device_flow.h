#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/pipeline/lane.h"
#include "engine/pipeline/run_state.h"

namespace lenet_flow {

/// The flow graph of one device: every layer of its stages is a node for its forward and one for its backward work.
/// For each kind of action of a stage:
///
///     gate -> layer -> layer -> ... -> end
///
/// A gate counts the tokens of each micro-batch (data, credit, room, and its turn in the device's order) and lets an
/// action go when it has all of them. The end node sends tokens to the gates that now may know, each to the one that it
/// is addressed to: straight on the same device, through the other device's lane otherwise. The order node, fed by all
/// end nodes, walks the device's list of the schedule and gives one action at a time its turn: the control messages
/// that make what runs what `check` printed.
///
/// On an asynchronous device (AsyncFlow) the layers' nodes record what the layers put on the device, the first time;
/// the end node submits it. Gates and the order on the same device hear at once, since the device keeps to the order of
/// submission; all others when look() finds that it has ended.
///
/// One graph a device, because a oneTBB graph is bound to one arena and an arena to a device's cores; all messages are
/// small handles.
class DeviceFlow {
 public:
  /// In the device's arena: the graph binds to it. `device`: its number in the schedule.
  DeviceFlow(RunState& state, int device);
  ~DeviceFlow();

  /// Puts tokens into the graph and works until nothing more can run. In the same arena.
  void deliver(std::span<const Token> tokens);
  /// Of an asynchronous device: sees to what has ended there. In the same arena.
  Looked look();

  /// What the action whose turn it is has not got yet, in words: "activations of micro-batch 3 over the link
  /// 'conv1..pool1->fc1'". Empty where it has all or is running. From any thread.
  std::vector<std::string> missing() const;

 private:
  struct Nodes;
  std::unique_ptr<Nodes> nodes_;
};

}  // namespace lenet_flow

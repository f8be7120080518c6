#include "engine/pipeline/device_flow.h"

#include <tbb/flow_graph.h>

#include <tuple>
#include <utility>
#include <vector>

#include "engine/pipeline/async_flow.h"
#include "engine/pipeline/gate.h"
#include "engine/pipeline/stage_runner.h"
#include "engine/pipeline/token_rules.h"

namespace lenet_flow {
namespace {

namespace flow = tbb::flow;

/// What goes from a gate along its layers: which micro-batch, and when what it waited for had come.
struct Work {
  std::int64_t micro_batch = 0;
  Arrivals arrivals;
};

// A gate, an end and the order are lightweight: they run at once in the thread that sends to them. (oneTBB ignores
// `lightweight` without a word where the body may throw.) Layers are tasks.
using GateNode = flow::multifunction_node<Token, std::tuple<Work>, flow::lightweight>;
using LayerNode = flow::function_node<Work, Work>;
using EndNode = flow::multifunction_node<Work, std::tuple<Token>, flow::lightweight>;
using OrderNode = flow::function_node<Token, flow::continue_msg, flow::lightweight>;

/// The gates of one device. A token is addressed to an action, so it is put straight into that action's gate: edges
/// would bring it to every gate of the device, which costs more than all the rest where a device has several stages.
class GateTable {
 public:
  explicit GateTable(std::size_t stages) : nodes_(stages * action_kinds) {}

  void add(int stage, ActionKind kind, GateNode& node) { nodes_[place(stage, kind)] = &node; }
  void send(const Token& token) const { nodes_[place(token.stage, token.kind)]->try_put(token); }

 private:
  static std::size_t place(int stage, ActionKind kind) {
    return static_cast<std::size_t>(stage * action_kinds + static_cast<int>(kind));
  }

  std::vector<GateNode*> nodes_;  ///< null where the stage has no replica on the device
};

/// The nodes of one kind of action of one unit.
class ActionChain {
 public:
  /// `async`: of an asynchronous device, else null.
  ActionChain(RunState& state, flow::graph& graph, const GateTable& gates, AsyncFlow* async, int unit, ActionKind kind)
      : state_(state),
        gates_(gates),
        async_(async),
        runner_(state, unit),
        kind_(kind),
        gate_(state, runner_.unit(), kind) {
    gate_node_ = std::make_unique<GateNode>(graph, flow::serial,
                                            [this](const Token& token, GateNode::output_ports_type& ports) noexcept {
                                              Work work{token.micro_batch, {}};
                                              if (gate_.add(token, work.arrivals)) std::get<0>(ports).try_put(work);
                                            });
    for (int step = 0; step < runner_.steps(kind); ++step)
      layers_.push_back(std::make_unique<LayerNode>(graph, flow::serial, [this, step](const Work& work) {
        if (async_) {
          if (step == 0) async_->begin(runner_, kind_, work.micro_batch, work.arrivals);
          async_->step(runner_, kind_, step, work.micro_batch);
        } else {
          if (step == 0) runner_.begin(kind_, work.micro_batch, work.arrivals);
          runner_.step(kind_, step, work.micro_batch);
        }
        return work;
      }));
    end_node_ = std::make_unique<EndNode>(graph, flow::serial,
                                          [this](const Work& work, EndNode::output_ports_type& ports) noexcept {
                                            const Token done = async_ ? submit(work) : end(work);
                                            if (!async_ || !async_->full()) std::get<0>(ports).try_put(done);
                                            if (!async_) runner_.ended(kind_, work.micro_batch);
                                          });
    flow::make_edge(flow::output_port<0>(*gate_node_), *layers_.front());
    for (std::size_t i = 0; i + 1 < layers_.size(); ++i) flow::make_edge(*layers_[i], *layers_[i + 1]);
    flow::make_edge(*layers_.back(), *end_node_);
  }

  GateNode& gate_node() { return *gate_node_; }
  EndNode& end_node() { return *end_node_; }
  TokenGate& gate() { return gate_; }
  int stage() { return runner_.unit().stage; }
  ActionKind kind() const { return kind_; }
  const StageRunner& runner() const { return runner_; }

  /// An action of an asynchronous device has ended there: other devices may know.
  Token ended(const AsyncFlow::Submitted& action, Nanoseconds end) {
    send_tokens(state_, runner_.unit(), kind_, action.micro_batch, end, [&](const Token& token) {
      if (!stays(token) && !async_->given(action, token)) send_away(token);
    });
    runner_.ended(kind_, action.micro_batch);
    return done(action.micro_batch, end);
  }

 private:
  /// A token goes to its gate on this device, or to the device that it is for. Returns what the order hears.
  Token end(const Work& work) {
    const Nanoseconds now = runner_.end(kind_, work.micro_batch);
    send_tokens(state_, runner_.unit(), kind_, work.micro_batch, now, [&](const Token& token) {
      if (stays(token))
        send_here(token);
      else
        send_away(token);
    });
    return done(work.micro_batch, now);
  }

  /// The same where the action now begins on an asynchronous device.
  Token submit(const Work& work) {
    async_->submit();
    const Nanoseconds now = steady_now();
    send_tokens(state_, runner_.unit(), kind_, work.micro_batch, now, [&](const Token& token) {
      if (stays(token))
        send_here(token);
      else
        async_->give(token);
    });
    return done(work.micro_batch, now);
  }

  bool stays(const Token& token) const {
    return state_.device_of(token.stage, token.kind, token.micro_batch) == runner_.unit().device;
  }
  void send_here(Token token) const {
    token.arrives = state_.arrival(token);
    if (!state_.on_send || state_.on_send(token)) gates_.send(token);
  }
  void send_away(Token token) const {
    token.arrives = state_.arrival(token);
    state_.post(token);
  }
  Token done(std::int64_t micro_batch, Nanoseconds now) const {
    const UnitState& unit = runner_.unit();
    return {micro_batch, now, unit.stage, unit.stage, kind_, Cause::done};
  }

  RunState& state_;
  const GateTable& gates_;
  AsyncFlow* async_;
  StageRunner runner_;
  ActionKind kind_;
  TokenGate gate_;
  std::unique_ptr<GateNode> gate_node_;
  std::vector<std::unique_ptr<LayerNode>> layers_;
  std::unique_ptr<EndNode> end_node_;
};

/// Walks through a device's list of actions, batch by batch.
class OrderWalk {
 public:
  OrderWalk(const RunState& state, int device) : state_(state), device_(static_cast<std::size_t>(device)) {}

  /// The token for the next action's turn, after what has ended; false after the last action of the pass.
  bool next(const Token& done, Token& token) {
    const BatchCut& cut = state_.pass.cut;
    const bool whole_pass = state_.overlaps_batches();
    const std::int64_t lists = whole_pass ? 1 : cut.batches();
    while (batch_ < lists && position_ == list().size()) {
      position_ = 0;
      ++batch_;
    }
    DeviceTurn& turn = *state_.turns[device_];
    if (batch_ == lists) {
      turn.next.set(-1, ActionKind::forward, 0);
      return false;
    }
    const Action& action = list()[position_++];
    token = {action.micro_batch, done.time, action.stage, done.from, action.kind, Cause::order};
    if (!whole_pass)
      token.micro_batch =
          action.kind == ActionKind::update ? batch_ : batch_ * cut.micro_batches() + action.micro_batch;
    turn.next.set(action.stage, action.kind, token.micro_batch);
    return true;
  }
  void reset() {
    batch_ = 0;
    position_ = 0;
  }

 private:
  const std::vector<Action>& list() const { return state_.order(batch_).lists[device_]; }

  const RunState& state_;
  std::size_t device_;
  std::int64_t batch_ = 0;
  std::size_t position_ = 0;
};

/// The kinds of action that a stage may have. Both halves and the whole of backward: a schedule may choose for each
/// micro-batch.
constexpr ActionKind kinds[] = {ActionKind::forward, ActionKind::backward, ActionKind::input_gradients,
                                ActionKind::parameter_gradients, ActionKind::update};

}  // namespace

struct DeviceFlow::Nodes {
  Nodes(RunState& shared, int number)
      : state(shared), device(number), walk(shared, number), gates(shared.stages.size()) {
    if (shared.devices[static_cast<std::size_t>(number)]->kind() != DeviceKind::cpu)
      async = std::make_unique<AsyncFlow>(shared, number);
    order = std::make_unique<OrderNode>(graph, flow::serial, [this](const Token& token) noexcept {
      Token turn;
      if (walk.next(token, turn)) gates.send(turn);
      return flow::continue_msg();
    });
    for (std::size_t unit = 0; unit < state.units.size(); ++unit)
      if (state.units[unit]->device == device)
        for (const ActionKind kind : kinds)
          chains.push_back(
              std::make_unique<ActionChain>(state, graph, gates, async.get(), static_cast<int>(unit), kind));
    for (const auto& chain : chains) {
      gates.add(chain->stage(), chain->kind(), chain->gate_node());
      flow::make_edge(flow::output_port<0>(chain->end_node()), *order);
    }
  }

  RunState& state;
  int device;
  flow::graph graph;
  OrderWalk walk;
  GateTable gates;
  std::unique_ptr<AsyncFlow> async;  ///< null on a CPU
  std::unique_ptr<OrderNode> order;
  std::vector<std::unique_ptr<ActionChain>> chains;
};

DeviceFlow::DeviceFlow(RunState& state, int device) : nodes_(std::make_unique<Nodes>(state, device)) {}

DeviceFlow::~DeviceFlow() { nodes_->graph.wait_for_all(); }

void DeviceFlow::deliver(std::span<const Token> tokens) {
  for (const Token& token : tokens) {
    if (token.cause == Cause::begin_pass) {
      nodes_->walk.reset();
      if (nodes_->async) nodes_->async->begin_pass();
      for (const auto& chain : nodes_->chains) chain->gate().reset();
      nodes_->order->try_put(token);
      continue;
    }
    if (!nodes_->async || !nodes_->async->take(token)) nodes_->gates.send(token);
  }
  nodes_->graph.wait_for_all();
}

Looked DeviceFlow::look() {
  if (!nodes_->async) return Looked::idle;
  AsyncFlow& async = *nodes_->async;
  const auto ended = [&](const AsyncFlow::Submitted& action, Nanoseconds end) {
    for (const auto& chain : nodes_->chains) {
      if (&chain->runner() != action.runner) continue;
      const Token done = chain->ended(action, end);
      // Its turn waits for this one to end.
      if (async.was_full()) nodes_->order->try_put(done);
    }
  };
  const Looked looked = async.poll(ended, [&](const Token& token) { nodes_->gates.send(token); });
  if (looked == Looked::moved) nodes_->graph.wait_for_all();
  return looked;
}

std::vector<std::string> DeviceFlow::missing() const {
  const DeviceTurn& turn = *nodes_->state.turns[static_cast<std::size_t>(nodes_->device)];
  const int stage = turn.next.stage.load(std::memory_order_relaxed);
  const ActionKind kind = turn.next.kind.load(std::memory_order_relaxed);
  if (stage < 0 || turn.running_since.load(std::memory_order_relaxed) != 0) return {};
  for (const auto& chain : nodes_->chains)
    if (chain->stage() == stage && chain->kind() == kind)
      return chain->gate().missing(turn.next.micro_batch.load(std::memory_order_relaxed));
  return {};
}

}  // namespace lenet_flow

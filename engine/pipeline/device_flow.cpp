#include "engine/pipeline/device_flow.h"

#include <tbb/flow_graph.h>

#include <algorithm>
#include <array>
#include <tuple>
#include <utility>
#include <vector>

#include "engine/pipeline/stage_runner.h"

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
using Gate = flow::multifunction_node<Token, std::tuple<Work>, flow::lightweight>;
using LayerNode = flow::function_node<Work, Work>;
using EndNode = flow::multifunction_node<Work, std::tuple<Token>, flow::lightweight>;
using OrderNode = flow::multifunction_node<Token, std::tuple<Token>, flow::lightweight>;

/// The tokens that came for one micro-batch.
struct Gathered {
  int tokens = 0;
  Arrivals arrivals;

  void add(const Token& token) {
    ++tokens;
    Nanoseconds& latest = token.cause == Cause::credit  ? arrivals.credit
                          : token.cause == Cause::room  ? arrivals.room
                          : token.cause == Cause::order ? arrivals.order
                                                        : arrivals.input;
    latest = std::max(latest, token.time);
  }
};

/// The nodes of one kind of action of one stage.
class ActionChain {
 public:
  ActionChain(RunState& state, flow::graph& graph, int stage, ActionKind kind, int device)
      : state_(state), runner_(state, stage), stage_(stage), kind_(kind), device_(device), waiting_(ring_size()) {
    gate_ = std::make_unique<Gate>(
        graph, flow::serial,
        [this](const Token& token, Gate::output_ports_type& ports) noexcept { take(token, std::get<0>(ports)); });
    for (int step = 0; step < runner_.steps(kind); ++step)
      layers_.push_back(std::make_unique<LayerNode>(graph, flow::serial, [this, step](const Work& work) {
        if (step == 0) runner_.begin(kind_, work.micro_batch, work.arrivals);
        runner_.step(kind_, step, work.micro_batch);
        return work;
      }));
    end_ = std::make_unique<EndNode>(
        graph, flow::serial, [this](const Work& work, EndNode::output_ports_type& ports) noexcept {
          runner_.end(kind_, work.micro_batch, [&](const Token& token) { send(token, std::get<0>(ports)); });
        });
    flow::make_edge(flow::output_port<0>(*gate_), *layers_.front());
    for (std::size_t i = 0; i + 1 < layers_.size(); ++i) flow::make_edge(*layers_[i], *layers_[i + 1]);
    flow::make_edge(*layers_.back(), *end_);
  }

  Gate& gate() { return *gate_; }
  EndNode& end() { return *end_; }
  int stage() const { return stage_; }
  void reset() { std::fill(waiting_.begin(), waiting_.end(), Gathered{}); }

 private:
  /// No token comes further ahead of the oldest micro-batch that waits than admission, a link or the reader lets it.
  std::size_t ring_size() const {
    return state_.ring.size() + static_cast<std::size_t>(state_.in_flight + state_.link_capacity + 1);
  }

  template <typename Port>
  void take(const Token& token, Port& port) {
    if (token.stage != stage_ || token.kind != kind_ || token.cause == Cause::done) return;
    Gathered& gathered = waiting_[static_cast<std::size_t>(token.micro_batch) % waiting_.size()];
    gathered.add(token);
    if (gathered.tokens < runner_.tokens_needed(kind_, token.micro_batch)) return;
    port.try_put(Work{token.micro_batch, std::exchange(gathered, {}).arrivals});
  }

  /// A token goes over this device's edges, or to the device of its stage.
  template <typename Port>
  void send(const Token& token, Port& port) {
    const int to = state_.stages[static_cast<std::size_t>(token.stage)]->device;
    if (to == device_)
      port.try_put(token);
    else
      state_.lanes[static_cast<std::size_t>(to)]->post(token);
  }

  RunState& state_;
  StageRunner runner_;
  int stage_;
  ActionKind kind_;
  int device_;
  std::vector<Gathered> waiting_;
  std::unique_ptr<Gate> gate_;
  std::vector<std::unique_ptr<LayerNode>> layers_;
  std::unique_ptr<EndNode> end_;
};

/// Walks through a device's list of actions, batch by batch.
class OrderWalk {
 public:
  OrderWalk(const RunState& state, int device) : state_(state), device_(static_cast<std::size_t>(device)) {}

  /// The token for the next action's turn; false after the last action of the pass.
  bool next(Nanoseconds now, Token& token) {
    if (batch_ == state_.pass.cut.batches()) return false;
    const std::vector<Action>& actions = state_.schedule(batch_)[device_];
    const Action& action = actions[position_];
    token = {action.kind == ActionKind::update ? batch_ : batch_ * state_.pass.cut.micro_batches() + action.micro_batch,
             now, action.stage, action.kind, Cause::order};
    if (++position_ == actions.size()) {
      position_ = 0;
      ++batch_;
    }
    return true;
  }
  void reset() {
    batch_ = 0;
    position_ = 0;
  }

 private:
  const RunState& state_;
  std::size_t device_;
  std::int64_t batch_ = 0;
  std::size_t position_ = 0;
};

}  // namespace

struct DeviceFlow::Nodes {
  Nodes(RunState& state, int device) : walk(state, device) {
    order = std::make_unique<OrderNode>(
        graph, flow::serial, [this](const Token& token, OrderNode::output_ports_type& ports) noexcept {
          Token turn;
          if ((token.cause == Cause::done || token.cause == Cause::begin_pass) && walk.next(token.time, turn))
            std::get<0>(ports).try_put(turn);
        });
    for (std::size_t stage = 0; stage < state.stages.size(); ++stage) {
      if (state.stages[stage]->device != device) continue;
      std::vector<ActionKind> kinds{ActionKind::forward, ActionKind::backward, ActionKind::update};
      if (state.stages[stage]->split_backward)
        kinds = {ActionKind::forward, ActionKind::input_gradients, ActionKind::parameter_gradients, ActionKind::update};
      for (const ActionKind kind : kinds)
        chains.push_back(std::make_unique<ActionChain>(state, graph, static_cast<int>(stage), kind, device));
    }
    for (const auto& chain : chains) {
      flow::make_edge(flow::output_port<0>(*order), chain->gate());
      flow::make_edge(flow::output_port<0>(chain->end()), *order);
      for (const auto& other : chains)
        if (linked(state, chain->stage(), other->stage()))
          flow::make_edge(flow::output_port<0>(chain->end()), other->gate());
    }
  }

  /// An end node sends to its neighbours' gates, and credits to the entry stages'.
  static bool linked(const RunState& state, int stage, int other) {
    const StageState& from = *state.stages[static_cast<std::size_t>(stage)];
    const auto has = [other](const std::vector<int>& list) {
      return std::find(list.begin(), list.end(), other) != list.end();
    };
    return state.stages[static_cast<std::size_t>(other)]->entry || has(from.from) || has(from.to);
  }

  flow::graph graph;
  OrderWalk walk;
  std::unique_ptr<OrderNode> order;
  std::vector<std::unique_ptr<ActionChain>> chains;
};

DeviceFlow::DeviceFlow(RunState& state, int device) : nodes_(std::make_unique<Nodes>(state, device)) {}

DeviceFlow::~DeviceFlow() { nodes_->graph.wait_for_all(); }

void DeviceFlow::deliver(std::span<const Token> tokens) {
  for (const Token& token : tokens) {
    if (token.cause == Cause::begin_pass) {
      nodes_->walk.reset();
      for (const auto& chain : nodes_->chains) chain->reset();
      nodes_->order->try_put(token);
      continue;
    }
    for (const auto& chain : nodes_->chains)
      if (chain->stage() == token.stage) chain->gate().try_put(token);
  }
  nodes_->graph.wait_for_all();
}

}  // namespace lenet_flow

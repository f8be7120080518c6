#include "engine/pipeline/pipeline.h"

#include <fmt/format.h>
#include <tbb/global_control.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "devices/machine.h"
#include "engine/pipeline/device_flow.h"
#include "engine/pipeline/reader.h"
#include "engine/pipeline/run_error.h"
#include "engine/pipeline/stage_runner.h"

namespace lenet_flow {
namespace {

/// How long a host thread looks out for messages before it sleeps: longer than a wake-up takes.
constexpr Nanoseconds spin_before_sleep = 50'000;

constexpr Nanoseconds between_reports = 100'000'000;

PassTrace pass_trace(const PassFacts& facts, Nanoseconds begin) {
  return {.epoch = static_cast<int>(facts.epoch),
          .training = facts.mode == Mode::train,
          .micro_batches = facts.cut.micro_batches_in_pass(),
          .batches = facts.cut.batches(),
          .per_batch = facts.cut.micro_batches(),
          .images_per_micro_batch = facts.cut.micro_batch,
          .images_per_batch = facts.cut.batch,
          .images = facts.cut.images,
          .begin = begin};
}

/// Of one kind and as many cores.
bool are_alike(Device& a, Device& b) {
  if (a.kind() != DeviceKind::cpu || b.kind() != DeviceKind::cpu) return &a == &b;
  return static_cast<const CpuQueue&>(a.queue()).cores() == static_cast<const CpuQueue&>(b.queue()).cores();
}

int reader_threads() { return static_cast<int>(Machine::here().cores().size()); }

void check_memory(const PipelinePlan& plan, const DeviceSet& devices) {
  std::uint64_t bytes = plan.reader_bytes;
  for (int i = 0; i < devices.size(); ++i)
    if (devices.device(i).kind() == DeviceKind::cpu) bytes += plan.device_bytes(i);
  const std::uint64_t available = Machine::available_bytes();
  constexpr double gib = 1024.0 * 1024.0 * 1024.0;
  if (bytes > available)
    throw InputError(
        fmt::format("this network needs {:.1f} GiB with {} micro-batches in flight, this machine has {:.1f} GiB free; "
                    "a smaller training.batch, pipeline.micro_batch or pipeline.in_flight needs less",
                    static_cast<double>(bytes) / gib, plan.limits.in_flight, static_cast<double>(available) / gib));
}

}  // namespace

/// Lets oneTBB have a worker for every core of every device and of the reader: its own limit is the machine's cores,
/// less one, for all arenas together.
class Pipeline::TbbThreads {
 public:
  explicit TbbThreads(int threads)
      : control_(tbb::global_control::max_allowed_parallelism, static_cast<std::size_t>(threads)) {}

 private:
  tbb::global_control control_;
};

Pipeline::Pipeline(const Network& network, const DeviceSet& devices, const PipelineOptions& options,
                   const Optimizer* optimizer)
    : network_(network),
      devices_(devices),
      options_(options),
      optimizer_(optimizer),
      plan_(plan_pipeline(network, devices, options, optimizer)),
      state_(network),
      watchdog_(state_, options.watchdog_seconds) {
  check_memory(plan_, devices);
  int threads = reader_threads() + 2;
  for (int i = 0; i < devices.size(); ++i)
    if (devices.device(i).kind() == DeviceKind::cpu)
      threads += static_cast<const CpuQueue&>(devices.device(i).queue()).cores();
  threads_ = std::make_unique<TbbThreads>(threads);

  pixels_.resize(static_cast<std::size_t>(plan_.read_ahead * std::min(options_.micro_batch, options_.batch) *
                                          network_.input.elements()));
  name_traced();
  make_units();
  name_traced_units();
  inject_delays();
  make_ring();
  open_lanes();
  reader_ = std::make_unique<Reader>(state_, reader_threads());
}

/// The names behind the trace's numbers, and who listens to it.
void Pipeline::name_traced() {
  for (int i = 0; i < devices_.size(); ++i) traced_.devices.push_back(devices_.device(i).name());
  for (const Stage& stage : network_.stages) traced_.stages.push_back(stage.name);
  traced_.links = plan_.shape.links;
  traced_.in_flight = plan_.limits.in_flight;
  traced_.link_capacity = plan_.limits.link_capacity;
  traced_.read_ahead = plan_.read_ahead;
  traced_.reader_threads = reader_threads();
  collector_ = std::make_unique<Collector>(traced_);
  std::vector<const CoreTurn*> groups;
  for (int i = 0; i < devices_.size(); ++i) {
    const auto found = std::find(groups.begin(), groups.end(), devices_.turn(i));
    traced_.core_groups.push_back(devices_.turn(i) ? static_cast<int>(found - groups.begin()) : -1);
    if (devices_.turn(i) && found == groups.end()) groups.push_back(devices_.turn(i));
    traced_.alike = traced_.alike && are_alike(devices_.device(i), devices_.device(0));
  }
}

/// The same of units and their steps, once they are made.
void Pipeline::name_traced_units() {
  for (const auto& unit : state_.units) {
    TracedPipeline::Unit traced{unit->stage, unit->replica, unit->device, state_.stage(unit->stage).entry, {}};
    const StageRunner runner(state_, unit->number);
    // An asynchronous device is given an action as one piece.
    for (int kind = 0; unit->asynchronous() && kind < action_kinds; ++kind)
      traced.steps[kind].push_back(static_cast<ActionKind>(kind) == ActionKind::update
                                       ? "update"
                                       : traced_.stages[static_cast<std::size_t>(unit->stage)]);
    for (int kind = 0; !unit->asynchronous() && kind < action_kinds; ++kind)
      for (int step = 0; step < runner.steps(static_cast<ActionKind>(kind)); ++step)
        traced.steps[kind].push_back(runner.step_label(static_cast<ActionKind>(kind), step));
    traced.held_bytes = unit->worker.memory().held_bytes();
    traced_.units.push_back(std::move(traced));
  }
  account_ = std::make_unique<Account>(traced_);
  collector_->add_sink(*account_);
  collector_->add_sink(keeper_);
}

/// Allocates the devices' memory and makes the stages' workers on it.
void Pipeline::make_units() {
  std::vector<std::span<std::byte>> workspaces;
  for (int i = 0; i < devices_.size(); ++i) {
    const std::size_t bytes = plan_.workspace_bytes[static_cast<std::size_t>(i)];
    workspaces.emplace_back(bytes ? devices_.device(i).allocate(bytes) : nullptr, bytes);
    state_.turns.push_back(std::make_unique<DeviceTurn>());
    state_.devices.push_back(&devices_.device(i));
  }
  memories_.resize(network_.stages.size());
  for (StageMemory& memory : plan_.memory) {
    memory.allocate();
    auto& replicas = memories_[static_cast<std::size_t>(memory.stage())];
    replicas.push_back(&memory);
    if (memory.replica() > 0) memory.share_parameters(*replicas[0]);
  }
  pin_memory();
  state_.stages.resize(network_.stages.size());
  for (const StageMemory& memory : plan_.memory) {
    StageFacts& stage = state_.stages[static_cast<std::size_t>(memory.stage())];
    const int device = plan_.device_of(memory);
    stage.units.push_back(static_cast<int>(state_.units.size()));
    state_.units.push_back(
        std::make_unique<UnitState>(network_, static_cast<int>(state_.units.size()), memory.stage(), memory.replica(),
                                    memories_, workspaces[static_cast<std::size_t>(device)], optimizer_, options_.seed,
                                    device, devices_.turn(device), collector_->ring(device)));
    stage.share = state_.units.back()->worker.share();
    stage.slots = plan_.limits.slots[static_cast<std::size_t>(memory.stage())];
    stage.entry = state_.units.back()->worker.reads_network_input();
  }
  for (const auto& [from, to] : plan_.shape.links) {
    state_.stages[static_cast<std::size_t>(from)].to.push_back(to);
    state_.stages[static_cast<std::size_t>(to)].from.push_back(from);
  }
  state_.weight_versions = options_.weight_versions;
  state_.on_step = options_.on_step;
  state_.on_send = options_.on_send;
}

/// Lets the asynchronous devices copy from and to the memory of stages on CPU devices, and from where the reader
/// writes.
void Pipeline::pin_memory() {
  AsyncDevice* device = nullptr;
  for (int i = 0; i < devices_.size(); ++i)
    if (devices_.device(i).kind() != DeviceKind::cpu) device = static_cast<AsyncDevice*>(&devices_.device(i));
  if (!device) return;
  pinned_.push_back(device->pin(std::as_writable_bytes(std::span(pixels_))));
  for (const StageMemory& memory : plan_.memory)
    if (memory.device().kind() == DeviceKind::cpu) pinned_.push_back(device->pin(memory.block()));
}

/// Gives units and links the delays that are asked for.
void Pipeline::inject_delays() {
  const InjectedDelays& delays = options_.delays;
  constexpr int most_steps = 3;  // of a layer in one action: a recomputed forward, I and W
  for (const auto& unit : state_.units) {
    const Stage& stage = network_.stages[static_cast<std::size_t>(unit->stage)];
    unit->device_factor = delays.device_factor(stage.devices[static_cast<std::size_t>(unit->replica)]);
    if (!delays.layers.empty())
      for (const int layer : stage.layers) unit->delays.push_back(delays.layers[static_cast<std::size_t>(layer)]);
    const bool slower = std::any_of(unit->delays.begin(), unit->delays.end(),
                                    [](const Delay& delay) { return delay.longer > 0 || delay.factor > 1; });
    if (unit->asynchronous() && (slower || unit->device_factor > 1))
      throw InputError(
          fmt::format("stage '{}' runs on a GPU ('{}'), which nothing can be injected into; links can be "
                      "slowed down, and so can layers on CPU devices",
                      stage.name, unit->worker.memory().device().name()));
  }
  for (const Delay& delay : delays.layers) state_.injected_at_most += most_steps * delay.longer;
  for (const LinkDelay& delay : delays.links) {
    const auto& link = state_.slow_links.emplace_back(std::make_unique<SlowLink>(delay));
    for (const bool forward : {false, true})
      state_.injected_at_most += link->transfer_time(forward, std::min(options_.micro_batch, options_.batch));
  }
}

/// What travels beside the tensors: enough entries for all that can be on its way.
void Pipeline::make_ring() {
  const std::int64_t images = std::min(options_.micro_batch, options_.batch);
  int entries = plan_.read_ahead + std::max(plan_.limits.in_flight, plan_.inference_limits.in_flight);
  for (const StageFacts& stage : state_.stages)
    entries += stage.share.replicas * std::max(stage.slots.activations, stage.slots.outputs);
  for (int i = 0; i < entries; ++i) {
    auto& entry = state_.ring.emplace_back(std::make_unique<MicroBatch>());
    entry->samples.reserve(static_cast<std::size_t>(images));
    entry->labels.reserve(static_cast<std::size_t>(images));
  }
}

Pipeline::~Pipeline() {
  reader_.reset();
  // A pass that failed may leave actions behind that still send to other devices.
  for (const auto& lane : state_.lanes) lane->close();
  state_.lanes.clear();
}

void Pipeline::open_lanes() {
  // Gates are as large as these ask for.
  state_.in_flight = std::max(plan_.limits.in_flight, plan_.inference_limits.in_flight);
  state_.link_capacity = std::max(plan_.limits.link_capacity, plan_.inference_limits.link_capacity);
  state_.flows.resize(static_cast<std::size_t>(devices_.size()));
  for (int i = 0; i < devices_.size(); ++i) {
    const auto open = [this, i] {
      const auto flow = std::make_shared<DeviceFlow>(state_, i);
      state_.flows[static_cast<std::size_t>(i)] = flow.get();
      Lane::Handler handler{[flow](std::span<const Token> tokens) { flow->deliver(tokens); }, nullptr};
      if (devices_.device(i).kind() != DeviceKind::cpu) handler.look = [flow] { return flow->look(); };
      return handler;
    };
    state_.lanes.push_back(std::make_unique<Lane>(devices_.device(i), open, devices_.turn(i) ? 0 : spin_before_sleep,
                                                  collector_->ring(i)));
  }
}

PassResult Pipeline::run(const PassRequest& request) {
  PassResult result;
  result.loss_sum = request.loss_before;
  if (request.samples.empty()) return result;
  begin_pass(request);
  const Nanoseconds begin = steady_now();
  watchdog_.begin(begin);
  if (request.timed) collector_->begin_pass(pass_trace(request.facts, begin));
  for (const auto& lane : state_.lanes) {
    Token token;
    token.time = begin;
    token.cause = Cause::begin_pass;
    lane->post(token);
  }
  result.batches = feed(request);
  const BatchCut& cut = request.facts.cut;
  std::int64_t micro_batches = 0;
  for (std::int64_t batch = 0; batch < result.batches; ++batch) {
    result.images += cut.batch_images(batch);
    micro_batches += cut.micro_batches(batch);
  }
  const std::int64_t updates = request.facts.mode == Mode::train ? result.batches * plan_.shape.stages() : 0;
  wait_until(request, [&] {
    return state_.micro_batches_out.load(std::memory_order_acquire) +
                   state_.micro_batches_failed.load(std::memory_order_acquire) >=
               micro_batches &&
           state_.updates_done.load(std::memory_order_acquire) >= updates;
  });
  reader_->wait();
  const Nanoseconds end = steady_now();
  if (request.timed) collector_->end_pass(end);
  if (state_.failed()) throw_failure(request);
  if (state_.micro_batches_out != micro_batches || state_.micro_batches_failed != 0)
    throw RunError(fmt::format("{} micro-batches went in, {} came out and {} failed: the engine has lost some",
                               micro_batches, state_.micro_batches_out.load(), state_.micro_batches_failed.load()));
  for (std::int64_t i = 0; i < micro_batches; ++i) {
    result.loss_sum += state_.losses[static_cast<std::size_t>(i)].sum;
    result.correct += state_.losses[static_cast<std::size_t>(i)].correct;
  }
  result.seconds = static_cast<double>(end - begin) * 1e-9;
  return result;
}

void Pipeline::begin_pass(const PassRequest& request) {
  state_.pass = request.facts;
  state_.timed = request.timed;
  reader_->use(*request.source);
  const BatchCut& cut = state_.pass.cut;
  const Schedule& full = state_.pass.mode == Mode::train ? plan_.schedule : plan_.inference;
  const ScheduleLimits& limits = state_.pass.mode == Mode::train ? plan_.limits : plan_.inference_limits;
  state_.in_flight = limits.in_flight;
  state_.link_capacity = limits.link_capacity;
  state_.orders.clear();
  if (state_.overlaps_batches()) {
    const int micro_batches = static_cast<int>(cut.micro_batches_in_pass());
    state_.orders.push_back(
        batch_order(unflushed_schedule(*options_.schedule, plan_.shape, micro_batches), state_, micro_batches));
  } else
    for (const int micro_batches : {cut.micro_batches(), cut.micro_batches(cut.batches() - 1)})
      state_.orders.push_back(batch_order(shortened(full, micro_batches), state_, micro_batches));
  state_.losses.assign(static_cast<std::size_t>(cut.micro_batches_in_pass()), {});
  state_.predicted.assign(request.samples.size(), 0);
  const NetworkLayer& output = network_.layers[static_cast<std::size_t>(network_.output_layer)];
  state_.outputs.assign(
      request.keep_outputs ? request.samples.size() * static_cast<std::size_t>(output.output_shape.elements()) : 0, 0);
  state_.images_done = 0;
  state_.loss_done = 0;
  state_.micro_batches_out = 0;
  state_.micro_batches_failed = 0;
  state_.updates_done = 0;
  for (auto& ended : state_.batch_ended) ended = 0;
  for (const auto& unit : state_.units) {
    unit->last_batch = -1;
    unit->worker.begin_pass(options_.weight_versions);
  }
  share_parameters();
  for (const auto& entry : state_.ring) entry->readers_left = entry->stages_left = 0;
}

/// Gives replicas with parameters of their own those of the first.
void Pipeline::share_parameters() {
  std::vector<float> values;
  for (const StageMemory& memory : plan_.memory) {
    if (memory.replica() == 0 || !memory.owns_parameters()) continue;
    const StageMemory& first = *memories_[static_cast<std::size_t>(memory.stage())][0];
    values.resize(memory.parameters().size());
    const auto view = [&](const StageMemory& of) {
      return ParameterView{of.parameters().data(), static_cast<std::int64_t>(of.parameters().size())};
    };
    first.device().read_parameter(view(first), values);
    memory.device().write_parameter(values, view(memory));
  }
}

std::int64_t Pipeline::feed(const PassRequest& request) {
  const BatchCut& cut = request.facts.cut;
  std::int64_t number = 0;
  for (std::int64_t batch = 0; batch < cut.batches(); ++batch) {
    if (state_.failed() || (request.stop && request.stop->load() > 0)) return batch;
    for (int index = 0; index < cut.micro_batches(batch); ++index) feed_micro_batch(request, number++, batch, index);
  }
  return cut.batches();
}

void Pipeline::feed_micro_batch(const PassRequest& request, std::int64_t number, std::int64_t batch, int index) {
  const std::int64_t ahead = plan_.read_ahead;
  // The pixels' place must be free, and the entry: at ring size before this one.
  wait_until(request, [&] {
    return state_.micro_batch(number).stages_left.load(std::memory_order_acquire) == 0 &&
           (number < ahead || state_.micro_batch(number - ahead).readers_left.load(std::memory_order_acquire) == 0);
  });
  const BatchCut& cut = request.facts.cut;
  MicroBatch& entry = state_.micro_batch(number);
  entry.number = number;
  entry.batch = batch;
  entry.index = index;
  entry.batch_images = cut.batch_images(batch);
  entry.first = batch * cut.batch + index * cut.micro_batch;
  entry.images = cut.micro_batch_images(batch, index);
  const auto samples =
      request.samples.subspan(static_cast<std::size_t>(entry.first), static_cast<std::size_t>(entry.images));
  entry.samples.assign(samples.begin(), samples.end());
  entry.labels.clear();
  for (const std::uint32_t sample : samples) entry.labels.push_back(request.source->label(sample));
  const std::size_t floats = pixels_.size() / static_cast<std::size_t>(ahead);
  entry.pixels = std::span(pixels_).subspan(static_cast<std::size_t>(number % ahead) * floats, floats);
  entry.readers_left = static_cast<int>(
      std::count_if(state_.stages.begin(), state_.stages.end(), [](const StageFacts& stage) { return stage.entry; }));
  entry.stages_left = static_cast<int>(state_.stages.size());
  entry.read.asked = steady_now();
  reader_->read(number);
}

void Pipeline::wait_until(const PassRequest& request, const std::function<bool()>& done) {
  for (bool ended = false; !ended; report_now_and_then(request)) {
    std::unique_lock lock(state_.mutex);
    ended = state_.changed.wait_for(lock, std::chrono::nanoseconds(between_reports), done);
    lock.unlock();
    if (state_.timed) collector_->collect();
    if (!ended) check_watchdog();
  }
}

void Pipeline::report_now_and_then(const PassRequest& request) {
  const Nanoseconds now = steady_now();
  if (!request.progress || now - reported_ < between_reports) return;
  reported_ = now;
  request.progress(state_.images_done, state_.loss_done);
}

/// Throws RunError where nothing moves any more. Where a kernel never ends its thread cannot be ended either: the
/// process then ends here.
void Pipeline::check_watchdog() {
  const std::string account = watchdog_.look(steady_now());
  if (account.empty()) return;
  state_.fail({account, nullptr, false, 0});
  constexpr Nanoseconds patience = 2'000'000'000;
  const Nanoseconds until = steady_now() + patience;
  while (watchdog_.running() && steady_now() < until) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  if (watchdog_.running()) {
    fmt::print(stderr, "{}\n", account);
    std::_Exit(1);
  }
  throw RunError(account);
}

void Pipeline::throw_failure(const PassRequest& request) {
  const Failure failure = state_.failure();
  state_.clear_failure();
  if (failure.error) std::rethrow_exception(failure.error);
  throw RunError(failure.non_finite ? find_non_finite(request, failure.batch) : failure.message);
}

std::vector<std::vector<std::int64_t>> Pipeline::staleness() const {
  std::vector<std::vector<std::int64_t>> staleness;
  for (const StageFacts& stage : state_.stages)
    staleness.push_back(state_.units[static_cast<std::size_t>(stage.units[0])]->worker.staleness());
  return staleness;
}

RanBy Pipeline::ran_by() const {
  if (options_.training && options_.weight_versions != WeightVersions::flush && !keeper_.passes().empty()) {
    ScheduleShape shape = plan_.shape;
    shape.micro_batches = static_cast<int>(keeper_.passes().back().pass.micro_batches);
    return {unflushed_schedule(*options_.schedule, plan_.shape, shape.micro_batches), shape, plan_.limits, true};
  }
  return {plan_.schedule, plan_.shape, plan_.limits, false};
}

Diagnosis Pipeline::diagnosis() const {
  if (keeper_.passes().empty()) return {};
  const RanBy by = ran_by();
  return diagnose({&traced_, &keeper_.passes().back(), &by, account_->epochs().back().units});
}

std::vector<StageResult> Pipeline::stage_results() const {
  std::vector<StageResult> results;
  for (std::size_t i = 0; i < state_.units.size(); ++i) {
    const UnitState& unit = *state_.units[i];
    const Stage& stage = network_.stages[static_cast<std::size_t>(unit.stage)];
    StageResult& result = results.emplace_back();
    result.name = stage.name;
    result.device = stage.devices[static_cast<std::size_t>(unit.replica)];
    result.replica = unit.replica;
    for (const int layer : stage.layers) result.layers.push_back(network_.layers[static_cast<std::size_t>(layer)].name);
    result.images = unit.images;
    result.seconds = account_->units()[i].seconds;
    result.update_seconds = account_->units()[i].update_seconds;
    result.injected_seconds = account_->units()[i].injected_seconds;
    result.peak_bytes = plan_.memory[i].bytes().sum();
    if (unit.worker.recomputes())
      result.bytes_without_recompute = bytes_without_recompute(network_, plan_.memory[i]).sum();
    if (plan_.versions.empty()) continue;
    result.weight_versions = plan_.versions[static_cast<std::size_t>(unit.stage)];
    result.staleness = unit.worker.staleness();
  }
  return results;
}

}  // namespace lenet_flow

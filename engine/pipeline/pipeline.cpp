#include "engine/pipeline/pipeline.h"

#include <fmt/format.h>
#include <tbb/global_control.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <set>

#include "devices/machine.h"
#include "engine/pipeline/device_flow.h"
#include "engine/pipeline/reader.h"
#include "engine/pipeline/run_error.h"

namespace lenet_flow {
namespace {

/// How long a host thread looks out for messages before it sleeps: longer than a wake-up takes.
constexpr Nanoseconds spin_before_sleep = 50'000;

constexpr Nanoseconds between_reports = 100'000'000;

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
      state_(network) {
  check_memory(plan_, devices);
  int threads = reader_threads() + 2;
  for (int i = 0; i < devices.size(); ++i)
    if (devices.device(i).kind() == DeviceKind::cpu)
      threads += static_cast<const CpuQueue&>(devices.device(i).queue()).cores();
  threads_ = std::make_unique<TbbThreads>(threads);

  std::vector<std::span<std::byte>> workspaces;
  for (int i = 0; i < devices.size(); ++i) {
    const std::size_t bytes = plan_.workspace_bytes[static_cast<std::size_t>(i)];
    workspaces.emplace_back(bytes ? devices.device(i).allocate(bytes) : nullptr, bytes);
  }
  for (StageMemory& memory : plan_.memory) memory.allocate();
  StageMemory::wire(network, plan_.memory);
  for (std::size_t i = 0; i < plan_.memory.size(); ++i) {
    const int device = plan_.shape.device_of_stage[i];
    state_.stages.push_back(std::make_unique<StageState>(network, static_cast<int>(i), plan_.memory[i],
                                                         workspaces[static_cast<std::size_t>(device)], optimizer,
                                                         options.seed, device, devices.turn(device)));
    state_.stages.back()->split_backward = plan_.split_backward;
  }
  for (const auto& [from, to] : plan_.shape.links) {
    state_.stages[static_cast<std::size_t>(from)]->to.push_back(to);
    state_.stages[static_cast<std::size_t>(to)]->from.push_back(from);
  }
  state_.in_flight = plan_.limits.in_flight;
  state_.link_capacity = plan_.limits.link_capacity;
  state_.on_step = options.on_step;
  const std::int64_t images = std::min(options.micro_batch, options.batch);
  pixels_.resize(static_cast<std::size_t>(plan_.read_ahead * images * network.input.elements()));
  for (int i = 0; i < plan_.read_ahead + plan_.limits.in_flight; ++i) {
    auto& entry = state_.ring.emplace_back(std::make_unique<MicroBatch>());
    entry->samples.reserve(static_cast<std::size_t>(images));
    entry->labels.reserve(static_cast<std::size_t>(images));
  }
  open_lanes();
  reader_ = std::make_unique<Reader>(state_, reader_threads());
}

Pipeline::~Pipeline() {
  reader_.reset();
  state_.lanes.clear();
}

void Pipeline::open_lanes() {
  for (int i = 0; i < devices_.size(); ++i) {
    const auto open = [this, i] {
      const auto flow = std::make_shared<DeviceFlow>(state_, i);
      return [flow](std::span<const Token> tokens) { flow->deliver(tokens); };
    };
    state_.lanes.push_back(std::make_unique<Lane>(devices_.device(i), open, devices_.turn(i) ? 0 : spin_before_sleep));
  }
}

PassResult Pipeline::run(const PassRequest& request) {
  PassResult result;
  result.loss_sum = request.loss_before;
  if (request.samples.empty()) return result;
  begin_pass(request);
  const Nanoseconds begin = steady_now();
  for (const auto& stage : state_.stages) stage->clock.begin_pass(begin);
  for (const auto& lane : state_.lanes) lane->post({0, begin, 0, ActionKind::forward, Cause::begin_pass});
  result.batches = feed(request);
  const auto stages = static_cast<std::int64_t>(state_.stages.size());
  wait_until(request,
             [&] { return state_.stage_batches_ended.load(std::memory_order_acquire) == stages * result.batches; });
  reader_->wait();
  const Nanoseconds end = steady_now();
  if (request.timed)
    for (const auto& stage : state_.stages) stage->clock.end_pass(end);
  if (state_.failed()) throw_failure(request);

  std::int64_t micro_batches = 0;
  for (std::int64_t batch = 0; batch < result.batches; ++batch) {
    result.images += request.facts.cut.batch_images(batch);
    micro_batches += request.facts.cut.micro_batches(batch);
  }
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
  const bool training = state_.pass.mode == Mode::train;
  state_.schedules.clear();
  for (const int micro_batches : {cut.micro_batches(), cut.micro_batches(cut.batches() - 1)}) {
    ScheduleShape shape = plan_.shape;
    shape.micro_batches = micro_batches;
    shape.training = training;
    state_.schedules.push_back(options_.schedule->generate(shape));
  }
  state_.losses.assign(static_cast<std::size_t>(state_.micro_batches_in_pass()), {});
  state_.predicted.assign(request.samples.size(), 0);
  const NetworkLayer& output = network_.layers[static_cast<std::size_t>(network_.output_layer)];
  state_.outputs.assign(
      request.keep_outputs ? request.samples.size() * static_cast<std::size_t>(output.output_shape.elements()) : 0, 0);
  state_.images_done = 0;
  state_.loss_done = 0;
  state_.micro_batches_out = 0;
  state_.micro_batches_failed = 0;
  state_.stage_batches_ended = 0;
  for (auto& ended : state_.batch_ended) ended = 0;
  for (const auto& stage : state_.stages) stage->last_batch = -1;
  for (const auto& entry : state_.ring) entry->readers_left = 0;
}

/// Sends whole batches in until the pass is over or is to stop; returns how many.
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
  if (number >= ahead)
    wait_until(request,
               [&] { return state_.micro_batch(number - ahead).readers_left.load(std::memory_order_acquire) == 0; });
  const BatchCut& cut = request.facts.cut;
  MicroBatch& entry = state_.micro_batch(number);
  entry.number = number;
  entry.batch = batch;
  entry.index = index;
  entry.batch_images = cut.batch_images(batch);
  entry.first = batch * cut.batch + index * cut.micro_batch;
  entry.images = std::min(cut.micro_batch, entry.batch_images - index * cut.micro_batch);
  const auto samples =
      request.samples.subspan(static_cast<std::size_t>(entry.first), static_cast<std::size_t>(entry.images));
  entry.samples.assign(samples.begin(), samples.end());
  entry.labels.clear();
  for (const std::uint32_t sample : samples) entry.labels.push_back(request.source->label(sample));
  const std::size_t floats = pixels_.size() / static_cast<std::size_t>(ahead);
  entry.pixels = std::span(pixels_).subspan(static_cast<std::size_t>(number % ahead) * floats, floats);
  entry.readers_left = static_cast<int>(
      std::count_if(state_.stages.begin(), state_.stages.end(), [](const auto& stage) { return stage->entry; }));
  entry.stages_left = static_cast<int>(state_.stages.size());
  reader_->read(number);
}

void Pipeline::wait_until(const PassRequest& request, const std::function<bool()>& done) {
  for (bool ended = false; !ended; report_now_and_then(request)) {
    std::unique_lock lock(state_.mutex);
    ended = state_.changed.wait_for(lock, std::chrono::nanoseconds(between_reports), done);
  }
}

void Pipeline::report_now_and_then(const PassRequest& request) {
  const Nanoseconds now = steady_now();
  if (!request.progress || now - reported_ < between_reports) return;
  reported_ = now;
  request.progress(state_.images_done, state_.loss_done);
}

void Pipeline::throw_failure(const PassRequest& request) {
  const Failure failure = state_.failure();
  state_.clear_failure();
  if (failure.error) std::rethrow_exception(failure.error);
  throw RunError(failure.non_finite ? find_non_finite(request, failure.batch) : failure.message);
}

std::vector<NamedTensor> Pipeline::parameters(bool with_state) const {
  std::vector<NamedTensor> tensors;
  const std::vector<std::string> states =
      with_state && optimizer_ ? optimizer_->state_names() : std::vector<std::string>();
  std::vector<const LayerMemory*> by_number(network_.layers.size());
  std::vector<Device*> device_of(network_.layers.size());
  for (const auto& stage : state_.stages) {
    for (const LayerMemory& memory : stage->worker.memory().layers()) {
      by_number[static_cast<std::size_t>(memory.layer)] = &memory;
      device_of[static_cast<std::size_t>(memory.layer)] = &stage->worker.memory().device();
    }
  }
  for (std::size_t number = 0; number < network_.layers.size(); ++number) {
    const NetworkLayer& layer = network_.layers[number];
    const LayerMemory& memory = *by_number[number];
    for (std::size_t i = 0; i < layer.parameters.size(); ++i) {
      const ParameterSpec& spec = layer.parameters[i];
      const auto add = [&](const std::string& name, const ParameterView& from) {
        tensors.push_back({name, spec.shape, std::vector<float>(static_cast<std::size_t>(spec.elements()))});
        device_of[number]->read_parameter(from, tensors.back().values);
      };
      const std::string name = layer.name + "." + spec.name;
      add(name, memory.parameters[i]);
      for (std::size_t state = 0; state < memory.states[i].size() && state < states.size(); ++state)
        add(name + "#" + states[state], memory.states[i][state]);
    }
  }
  return tensors;
}

bool Pipeline::set_parameters(const ParameterFile& file, const std::string& path) {
  std::map<std::string, const NamedTensor*> by_name;
  for (const NamedTensor& tensor : file.tensors) by_name[tensor.name] = &tensor;
  struct Write {
    Device* device;
    const NamedTensor* tensor;
    ParameterView to;
  };
  std::vector<Write> parameters, states;
  std::vector<Diagnostic> problems;
  const auto refuse = [&](const std::string& name, const std::string& problem) {
    Diagnostic& diagnostic = problems.emplace_back();
    diagnostic.where.file = path;
    diagnostic.field = name;
    diagnostic.message = problem;
  };
  std::set<std::string> known;
  bool all_states = true;
  const std::vector<std::string> state_names = optimizer_ ? optimizer_->state_names() : std::vector<std::string>();
  for (const auto& stage : state_.stages) {
    StageMemory& memory = stage->worker.memory();
    for (const LayerMemory& layer : memory.layers()) {
      const NetworkLayer& what = network_.layers[static_cast<std::size_t>(layer.layer)];
      for (std::size_t i = 0; i < what.parameters.size(); ++i) {
        const ParameterSpec& spec = what.parameters[i];
        const std::string name = what.name + "." + spec.name;
        known.insert(name);
        const auto found = by_name.find(name);
        if (found == by_name.end()) {
          refuse(name, "is not in the file");
          continue;
        }
        if (found->second->shape != spec.shape) {
          refuse(name, fmt::format("has shape [{}], the network needs [{}]", fmt::join(found->second->shape, ", "),
                                   fmt::join(spec.shape, ", ")));
          continue;
        }
        parameters.push_back({&memory.device(), found->second, layer.parameters[i]});
        for (std::size_t state = 0; state < layer.states[i].size(); ++state) {
          const auto kept = by_name.find(name + "#" + state_names[state]);
          if (kept != by_name.end() && kept->second->shape == spec.shape)
            states.push_back({&memory.device(), kept->second, layer.states[i][state]});
          else
            all_states = false;
        }
      }
    }
  }
  for (const NamedTensor& tensor : file.tensors)
    if (!known.contains(tensor.name.substr(0, tensor.name.find('#'))))
      refuse(printable(tensor.name), "this network has no such parameter");
  if (!problems.empty()) throw InputError(problems);
  for (const Write& write : parameters) write.device->write_parameter(write.tensor->values, write.to);
  if (all_states)
    for (const Write& write : states) write.device->write_parameter(write.tensor->values, write.to);
  return all_states;
}

std::vector<StageResult> Pipeline::stage_results() const {
  std::vector<StageResult> results;
  for (std::size_t i = 0; i < state_.stages.size(); ++i) {
    const Stage& stage = network_.stages[i];
    StageResult& result = results.emplace_back();
    result.name = stage.name;
    result.device = stage.device;
    for (const int layer : stage.layers) result.layers.push_back(network_.layers[static_cast<std::size_t>(layer)].name);
    result.images = state_.stages[i]->images;
    result.seconds = state_.stages[i]->clock.seconds();
    result.peak_bytes = plan_.memory[i].bytes().sum();
  }
  return results;
}

}  // namespace lenet_flow

#include "engine/pipeline/stage_worker.h"

#include <algorithm>
#include <numeric>
#include <stdexcept>

namespace lenet_flow {
namespace {

template <typename Slots>
auto& at(Slots& slots, std::int64_t sequence) {
  return slots[static_cast<std::size_t>(sequence) % slots.size()];
}

ReplicaShare share_of(const StageMemories& memories, int stage) {
  const auto& replicas = memories[static_cast<std::size_t>(stage)];
  return {static_cast<int>(replicas.size()), replicas[0]->needs().micro_batches};
}

}  // namespace

StageWorker::StageWorker(const Network& network, int stage, int replica, const StageMemories& memories,
                         std::span<std::byte> workspace, const Optimizer* optimizer, std::uint64_t seed)
    : network_(network),
      memories_(memories),
      memory_(*memories[static_cast<std::size_t>(stage)][static_cast<std::size_t>(replica)]),
      share_(share_of(memories, stage)),
      workspace_(workspace),
      optimizer_(optimizer),
      seed_(seed),
      queue_(&memory_.device().queue()),
      facts_(memory_.host_facts()) {
  if (!facts_.empty()) queue_ = &static_cast<AsyncDevice&>(memory_.device()).make_queue();
  for (int position = 0; position < layers(); ++position) {
    const LayerMemory& memory = memory_.layers()[static_cast<std::size_t>(position)];
    if (memory.last() == network.output_layer) loss_position_ = position;
    std::string& name = names_.emplace_back();
    for (const int number : memory.layers)
      name += (name.empty() ? "" : "+") + network.layers[static_cast<std::size_t>(number)].name;
    const std::vector<ParameterSpec> parameters = chain_parameters(network, memory);
    trained_.push_back(
        std::any_of(parameters.begin(), parameters.end(), [](const ParameterSpec& spec) { return spec.trained; }));
    LayerWiring& wiring = wiring_.emplace_back();
    for (const int producer : first_layer(position).producers) wiring.producers.push_back(neighbour(producer, -1));
    for (const auto& [consumer, input] : layer(position).consumers)
      wiring.consumers.push_back(neighbour(consumer, input));
    wiring.inputs.resize(wiring.producers.size());
    wiring.input_gradients.resize(wiring.producers.size());
  }
  if (has_loss()) {
    losses_.resize(static_cast<std::size_t>(memory_.needs().micro_batch));
    predicted_.resize(losses_.size());
  }
  versions_used_.assign(static_cast<std::size_t>(memory_.needs().slots.activations), 0);
  held_.assign(static_cast<std::size_t>(memory_.needs().staging), -1);
  period_ = common_period();
}

StageWorker::Neighbour StageWorker::neighbour(int number, int input) const {
  Neighbour neighbour{memory_.stage(), {}, {}};
  if (number == network_input) return neighbour;
  neighbour.stage = network_.layers[static_cast<std::size_t>(number)].stage;
  int replica = 0;
  for (StageMemory* of : memories_[static_cast<std::size_t>(neighbour.stage)]) {
    LayerMemory& memory = of->layer(number);
    neighbour.replicas.push_back(&memory);
    const Mirror* mirror = memory_.mirror(number, input, replica++);
    const std::vector<Tensor>* slots = nullptr;
    if (mirror)
      slots = &mirror->slots;
    else if (input < 0)
      slots = &memory.outputs;
    else if (!memory.input_gradients.empty())
      slots = &memory.input_gradients[static_cast<std::size_t>(input)];
    neighbour.slots.push_back(slots);
  }
  return neighbour;
}

/// Slots are numbered by sequences of replicas; where a neighbour has several, those go by batches.
std::int64_t StageWorker::common_period() const {
  std::int64_t period = std::lcm(std::max<std::int64_t>(1, static_cast<std::int64_t>(facts_.size())),
                                 static_cast<std::int64_t>(memory_.needs().backward_slots));
  bool by_batch = false;
  const auto take = [&](const auto& slots) {
    if (!slots.empty()) period = std::lcm(period, static_cast<std::int64_t>(slots.size()));
  };
  take(memory_.network_inputs());
  take(versions_used_);
  for (const LayerMemory& memory : memory_.layers()) {
    take(memory.outputs);
    take(memory.output_gradients);
    take(memory.versions);
    for (const auto& gradients : memory.input_gradients) take(gradients);
  }
  for (const LayerWiring& wiring : wiring_)
    for (const auto* neighbours : {&wiring.producers, &wiring.consumers})
      for (const Neighbour& neighbour : *neighbours) {
        by_batch = by_batch || neighbour.replicas.size() > 1;
        for (const auto* slots : neighbour.slots)
          if (slots) take(*slots);
      }
  return by_batch || share_.replicas > 1 ? period * share_.micro_batches : period;
}

const NetworkLayer& StageWorker::layer(int position) const {
  return network_.layers[static_cast<std::size_t>(memory_.layers()[static_cast<std::size_t>(position)].last())];
}

const NetworkLayer& StageWorker::first_layer(int position) const {
  return network_.layers[static_cast<std::size_t>(memory_.layers()[static_cast<std::size_t>(position)].first())];
}

Tensor StageWorker::own_output(const LayerMemory& memory, const MicroBatch& micro_batch, Phase phase) const {
  const bool recomputed = !memory.recomputed_outputs.empty();
  if (phase == Phase::backward && recomputed)
    return memory.recomputed_outputs[static_cast<std::size_t>(sequence(micro_batch) % memory_.needs().backward_slots)];
  if (recomputed && !memory.leaves) return memory.recomputed_outputs.back();
  return at(memory.outputs, sequence(micro_batch));
}

std::span<std::byte> StageWorker::own_saved(const LayerMemory& memory, const MicroBatch& micro_batch,
                                            Phase phase) const {
  if (memory.recomputed_outputs.empty()) return at(memory.saved, sequence(micro_batch));
  if (phase == Phase::forward) return memory.saved.back();
  return memory.saved[static_cast<std::size_t>(sequence(micro_batch) % memory_.needs().backward_slots)];
}

Tensor StageWorker::input(const Neighbour& producer, const MicroBatch& micro_batch, Phase phase) const {
  if (producer.replicas.empty()) return at(memory_.network_inputs(), sequence(micro_batch));
  if (producer.stage == memory_.stage())
    return own_output(*producer.replicas[static_cast<std::size_t>(memory_.replica())], micro_batch, phase);
  const ReplicaShare share{static_cast<int>(producer.replicas.size()), share_.micro_batches};
  const int replica = share.replica(micro_batch.index);
  return at(*producer.slots[static_cast<std::size_t>(replica)], share.sequence(micro_batch.batch, micro_batch.index));
}

/// The gradient that `owner` writes for its input: read by the producer of that input.
Tensor StageWorker::input_gradient(const Neighbour& owner, const MicroBatch& micro_batch) const {
  const ReplicaShare share{static_cast<int>(owner.replicas.size()), share_.micro_batches};
  const auto replica = static_cast<std::size_t>(share.replica(micro_batch.index));
  return at(*owner.slots[replica], share.sequence(micro_batch.batch, micro_batch.index));
}

Tensor StageWorker::output_gradient(int position, const MicroBatch& micro_batch) const {
  const LayerMemory& memory = memory_.layers()[static_cast<std::size_t>(position)];
  const LayerWiring& wiring = wiring_[static_cast<std::size_t>(position)];
  if (!memory.output_gradients.empty()) return at(memory.output_gradients, sequence(micro_batch));
  if (wiring.consumers.empty() || !needs_output_gradient(layer(position))) return {};
  return input_gradient(wiring.consumers[0], micro_batch);
}

KernelCall StageWorker::call(int position, const MicroBatch& micro_batch, Mode mode, std::uint32_t epoch, Phase phase) {
  LayerMemory& memory = memory_.layers()[static_cast<std::size_t>(position)];
  LayerWiring& wiring = wiring_[static_cast<std::size_t>(position)];
  const std::int64_t images = micro_batch.images;
  for (std::size_t i = 0; i < wiring.producers.size(); ++i) {
    wiring.inputs[i] = input(wiring.producers[i], micro_batch, phase);
    wiring.inputs[i].images = images;
    wiring.input_gradients[i] = {nullptr, first_layer(position).input_shapes[i], images};
    if (phase == Phase::backward && !memory.input_gradients[i].empty()) {
      wiring.input_gradients[i] = at(memory.input_gradients[i], sequence(micro_batch));
      wiring.input_gradients[i].images = images;
    }
  }
  Tensor output = own_output(memory, micro_batch, phase), gradient;
  if (phase == Phase::backward) gradient = output_gradient(position, micro_batch);
  output.images = gradient.images = images;
  return {.queue = queue_,
          .facts = {mode, seed_, epoch, samples(micro_batch)},
          .images = images,
          .inputs = wiring.inputs,
          .output = output,
          .parameters = parameters_of(memory, micro_batch),
          .saved = own_saved(memory, micro_batch, phase),
          .statistics = memory.statistics[static_cast<std::size_t>(micro_batch.index)],
          .workspace = workspace_,
          .output_gradient = gradient,
          .input_gradients = wiring.input_gradients,
          .parameter_gradients = {}};
}

void StageWorker::begin_forward(const MicroBatch& micro_batch, Mode mode) {
  std::int64_t version = version_;
  if (mode == Mode::train && weight_versions_ == WeightVersions::double_buffered)
    version = pass_version_ + std::max<std::int64_t>(0, micro_batch.batch - 1);
  at(versions_used_, sequence(micro_batch)) = version;
  if (facts_.empty()) return;
  std::copy(micro_batch.samples.begin(), micro_batch.samples.end(), host_facts(micro_batch).samples.begin());
  std::copy(micro_batch.labels.begin(), micro_batch.labels.end(), host_facts(micro_batch).labels.begin());
}

std::span<const std::uint32_t> StageWorker::samples(const MicroBatch& micro_batch) const {
  if (facts_.empty()) return micro_batch.samples;
  return host_facts(micro_batch).samples.first(micro_batch.samples.size());
}

RecordingKey StageWorker::recording_key(ActionKind kind, const MicroBatch& micro_batch, Mode mode, std::uint32_t epoch,
                                        bool keep_outputs) const {
  bool by_epoch = false, by_index = false;
  for (const LayerMemory& memory : memory_.layers()) {
    by_epoch = by_epoch || memory.kernel->draws_random_numbers();
    by_index = by_index || memory.kernel->statistics_floats() > 0;
  }
  const bool gradients = kind == ActionKind::parameter_gradients || kind == ActionKind::backward;
  std::int64_t folds = 0;
  for (const Fold& fold : folds_)
    folds = 2 * (folds * static_cast<std::int64_t>(held_.size() + 1) + static_cast<std::int64_t>(fold.place) + 1) +
            fold.first;
  return {static_cast<std::int64_t>(kind),
          micro_batch.images,
          micro_batch.batch_images,
          2 * static_cast<std::int64_t>(mode) + keep_outputs,
          by_epoch ? epoch : 0,
          (micro_batch.batch * share_.micro_batches + micro_batch.index) % period_,
          by_index ? micro_batch.index : 0,
          gradients ? 1 + static_cast<std::int64_t>(place_) : 0,
          gradients ? folds : 0};
}

const std::vector<ParameterView>& StageWorker::parameters_of(const LayerMemory& memory,
                                                             const MicroBatch& micro_batch) const {
  return memory.versions.size() == 1 ? memory.parameters : at(memory.versions, version_of(micro_batch));
}

/// Makes the newest version's successor, a copy of it, the newest.
void StageWorker::begin_version() {
  staleness_.resize(std::max(staleness_.size(), static_cast<std::size_t>(version_ - oldest_used_) + 1));
  ++staleness_[static_cast<std::size_t>(version_ - oldest_used_)];
  oldest_used_ = -1;
  ++version_;
  for (LayerMemory& memory : memory_.layers()) {
    if (memory.versions.size() == 1) continue;
    const auto& next = at(memory.versions, version_);
    for (std::size_t i = 0; i < next.size(); ++i)
      if (next[i].data != memory.parameters[i].data)
        memory_.device().accumulate(*queue_, memory.parameters[i].data, next[i].data, next[i].elements, true);
    memory.parameters = next;
  }
}

void StageWorker::take_pixels(const MicroBatch& micro_batch) {
  Tensor to = at(memory_.network_inputs(), sequence(micro_batch));
  to.images = micro_batch.images;
  memory_.device().write_activation(micro_batch.pixels.first(static_cast<std::size_t>(to.elements())), to);
}

void StageWorker::forward(int position, const MicroBatch& micro_batch, Mode mode, std::uint32_t epoch, bool again) {
  KernelCall what = call(position, micro_batch, mode, epoch, again ? Phase::backward : Phase::forward);
  what.output_gradient = {};
  memory_.layers()[static_cast<std::size_t>(position)].kernel->forward(what);
}

void StageWorker::loss(const MicroBatch& micro_batch, Mode mode) {
  const LayerMemory& memory = memory_.layers()[static_cast<std::size_t>(loss_position_)];
  Tensor output = own_output(memory, micro_batch, Phase::forward);
  Tensor gradient{nullptr, output.shape, micro_batch.images};
  if (mode == Mode::train && !memory.output_gradients.empty())
    gradient = at(memory.output_gradients, sequence(micro_batch));
  output.images = gradient.images = micro_batch.images;
  const auto images = static_cast<std::size_t>(micro_batch.images);
  LossCall call{.queue = queue_,
                .output = output,
                .labels = micro_batch.labels,
                .batch_images = micro_batch.batch_images,
                .output_gradient = gradient,
                .losses = losses_,
                .predicted = predicted_};
  if (!facts_.empty()) {
    const HostFacts& facts = host_facts(micro_batch);
    call.labels = facts.labels.first(images);
    call.losses = facts.losses;
    call.predicted = facts.predicted;
  }
  call.losses = call.losses.first(images);
  call.predicted = call.predicted.first(images);
  network_.loss->run(memory_.device().kind(), call);
}

LossValues StageWorker::loss_values(const MicroBatch& micro_batch, std::span<std::int32_t> predicted) const {
  std::span<const float> losses = losses_;
  std::span<const std::int32_t> classes = predicted_;
  if (!facts_.empty()) {
    losses = host_facts(micro_batch).losses;
    classes = host_facts(micro_batch).predicted;
  }
  LossValues values;
  for (std::size_t i = 0; i < predicted.size(); ++i) {
    values.sum += losses[i];
    values.correct += classes[i] == micro_batch.labels[i];
    predicted[i] = classes[i];
  }
  return values;
}

void StageWorker::input_gradients(int position, const MicroBatch& micro_batch, std::uint32_t epoch) {
  const NetworkLayer& what = layer(position);
  if (!needs_output_gradient(what)) return;
  const LayerWiring& wiring = wiring_[static_cast<std::size_t>(position)];
  if (wiring.consumers.size() > 1) {
    const Tensor sum = output_gradient(position, micro_batch);
    const std::int64_t floats = memory_.device().activation_floats(what.output_shape, micro_batch.images);
    for (std::size_t i = 0; i < wiring.consumers.size(); ++i)
      memory_.device().accumulate(*queue_, input_gradient(wiring.consumers[i], micro_batch).data, sum.data, floats,
                                  i == 0);
  }
  if (!first_layer(position).needs_input_gradients) return;
  memory_.layers()[static_cast<std::size_t>(position)].kernel->input_gradients(
      call(position, micro_batch, Mode::train, epoch, Phase::backward));
}

void StageWorker::parameter_gradients(int position, const MicroBatch& micro_batch, std::uint32_t epoch) {
  LayerMemory& memory = memory_.layers()[static_cast<std::size_t>(position)];
  if (!trained_[static_cast<std::size_t>(position)]) return;
  KernelCall what = call(position, micro_batch, Mode::train, epoch, Phase::backward);
  what.parameter_gradients = memory.staging[place_];
  memory.kernel->parameter_gradients(what);
}

/// The place that holds, or shall hold, the gradients of a micro-batch of this batch.
std::size_t StageWorker::staging_place(int index) {
  if (share_.replicas > 1) return static_cast<std::size_t>(index / share_.replicas);
  const auto mine = std::find(held_.begin(), held_.end(), index);
  const auto place = mine != held_.end() ? mine : std::find(held_.begin(), held_.end(), -1);
  if (place == held_.end()) throw std::logic_error("the schedule holds back more gradients than were planned for");
  *place = index;
  return static_cast<std::size_t>(place - held_.begin());
}

void StageWorker::begin_gradients(const MicroBatch& micro_batch) {
  const std::int64_t version = version_of(micro_batch);
  oldest_used_ = oldest_used_ < 0 ? version : std::min(oldest_used_, version);
  place_ = staging_place(micro_batch.index);
  folds_.clear();
  if (share_.replicas == 1) plan_folds();
}

/// Every micro-batch whose turn has come, of those whose gradients are there.
void StageWorker::plan_folds() {
  for (auto ready = std::find(held_.begin(), held_.end(), next_fold_); ready != held_.end();
       ready = std::find(held_.begin(), held_.end(), next_fold_)) {
    folds_.push_back({static_cast<std::size_t>(ready - held_.begin()), next_fold_ == 0});
    *ready = -1;
    ++next_fold_;
  }
}

/// Adds one micro-batch's gradients to the batch's.
void StageWorker::add_staged(std::span<const float> more, bool first) {
  const std::span<float> sum = memory_.gradients();
  if (more.data() != sum.data())
    memory_.device().accumulate(*queue_, more.data(), sum.data(), static_cast<std::int64_t>(sum.size()), first);
}

/// The gradients in a staging place of a replica, where this one can read them.
std::span<const float> StageWorker::staged(int replica, std::size_t place) const {
  const auto& mirrors = memory_.staging_mirror(replica);
  if (!mirrors.empty()) return mirrors[place];
  return memories_[static_cast<std::size_t>(memory_.stage())][static_cast<std::size_t>(replica)]->staging(place);
}

void StageWorker::fold_gradients() {
  for (const Fold& fold : folds_) add_staged(memory_.staging(fold.place), fold.first);
}

void StageWorker::fold_statistics(LayerMemory& memory, int micro_batches) {
  if (memory.kernel->statistics_floats() == 0) return;
  for (int i = 0; i < micro_batches; ++i) {
    const int replica = share_.replica(i);
    // Another memory's have been copied into this one's.
    const StageMemory& of =
        memory_.staging_mirror(replica).empty()
            ? *memories_[static_cast<std::size_t>(memory_.stage())][static_cast<std::size_t>(replica)]
            : memory_;
    KernelCall fold;
    fold.queue = queue_;
    fold.parameters = memory.parameters;
    fold.statistics = of.layer(memory.last()).statistics[static_cast<std::size_t>(i)];
    fold.workspace = workspace_;
    memory.kernel->fold_statistics(fold);
  }
}

void StageWorker::update(int micro_batches, double learning_rate, std::uint64_t step) {
  if (share_.replicas > 1) {
    for (int i = 0; i < micro_batches; ++i)
      add_staged(staged(share_.replica(i), static_cast<std::size_t>(i / share_.replicas)), i == 0);
  } else {
    if (next_fold_ != micro_batches) throw std::logic_error("an update before all gradients of its batch");
    next_fold_ = 0;
  }
  begin_version();
  updates_.clear();
  for (LayerMemory& memory : memory_.layers()) {
    fold_statistics(memory, micro_batches);
    for (std::size_t i = 0; i < memory.gradients.size(); ++i)
      if (memory.gradients[i].data)
        updates_.push_back({.queue = queue_,
                            .learning_rate = learning_rate,
                            .step = step,
                            .parameter = memory.parameters[i],
                            .gradient = memory.gradients[i],
                            .states = memory.states[i]});
  }
  if (!updates_.empty()) optimizer_->update_all(memory_.device().kind(), updates_);
}

void StageWorker::read_output(int position, const MicroBatch& micro_batch, std::span<float> values) const {
  Tensor output = own_output(memory_.layers()[static_cast<std::size_t>(position)], micro_batch, Phase::forward);
  output.images = micro_batch.images;
  memory_.device().read_activation(output, values);
}

void StageWorker::fetch_output(const MicroBatch& micro_batch) {
  auto& device = static_cast<AsyncDevice&>(memory_.device());
  const Tensor output =
      own_output(memory_.layers()[static_cast<std::size_t>(loss_position_)], micro_batch, Phase::forward);
  device.copy(*queue_, output.data, host_facts(micro_batch).outputs.data(),
              device.activation_floats(output.shape, micro_batch.images));
}

void StageWorker::fetched_output(const MicroBatch& micro_batch, std::span<float> values) const {
  std::copy_n(host_facts(micro_batch).outputs.begin(), values.size(), values.begin());
}

}  // namespace lenet_flow

#include "engine/training/session.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <limits>
#include <numeric>

#include "engine/schedule/schedule_file.h"
#include "layers/initializers.h"
#include "layers/registry.h"

namespace lenet_flow {
namespace {

/// Stands for a split of a known set that is not on this machine: shapes only.
class AbsentDataset final : public Dataset {
 public:
  AbsentDataset(const KnownSet& set, std::int64_t images) : shape_(set.shape), images_(images) {}
  std::int64_t size() const override { return images_; }
  std::int32_t label(std::int64_t) const override { return 0; }
  Shape shape(std::int64_t) const override { return shape_; }
  void read(std::int64_t, std::span<std::uint8_t>) const override {
    throw InputError("this data set is not on this machine");
  }

 private:
  Shape shape_;
  std::int64_t images_;
};

DataSet absent_set(const KnownSet& set) {
  DataSet data;
  data.name = set.name;
  for (std::int64_t i = 0; i < set.classes; ++i) data.class_names.push_back(std::to_string(i));
  data.train = std::make_unique<AbsentDataset>(set, set.train_images);
  data.test = std::make_unique<AbsentDataset>(set, set.test_images);
  return data;
}

}  // namespace

Session::Session(const RunOptions& options, Data data)
    : options_(options), file_(read_graph_file(options.graph, options.changes)) {
  for (const std::string& line : file_.warnings) warn(line);
  optimizer_ = find_optimizer_type(file_.training.optimizer.type)->make(file_.training.optimizer.attributes);
  open_data(data);
  network_ = std::make_unique<Network>(
      make_network(file_, train_->shape(), static_cast<std::int64_t>(data_.class_names.size())));
  if (options.on_network) options.on_network(*network_);
  std::vector<std::string> warnings;
  devices_ = std::make_unique<DeviceSet>(file_, warnings);
  for (const std::string& line : warnings) warn(line);
  open_schedule();
  open_delays();
}

void Session::open_data(Data data) {
  const KnownSet* known = find_known_set(file_.data.set);
  if (data == Data::shapes && known) {
    data_ = absent_set(*known);
  } else {
    data_ = open_data_set(file_.data.set, data_folders(options_.data));
  }
  train_ = std::make_unique<ImageSource>(*data_.train, file_.data.preprocess, file_.data.augment, file_.training.seed);
  test_ = std::make_unique<ImageSource>(*data_.test, file_.data.preprocess, file_.data.augment, file_.training.seed);
  if (train_->shape() != test_->shape())
    throw InputError("data set '" + data_.name + "': training images are " + train_->shape().text() +
                     ", test images are " + test_->shape().text() + "; \"preprocess\" can resize them");
  if (options_.limit && *options_.limit < 1)
    throw InputError(fmt::format("--limit: expected a number of images from 1, got {}", *options_.limit));
  if (train_->size() == 0) throw InputError("data set '" + data_.name + "' has no training images");
  train_images_ = options_.limit ? std::min(*options_.limit, train_->size()) : train_->size();
}

void Session::warn(const std::string& line) {
  warnings_.push_back(line);
  if (options_.warning) options_.warning(line);
}

void Session::open_schedule() {
  if (file_.pipeline.schedule != "custom") return;
  const BatchCut whole{file_.training.batch, file_.training.batch, file_.pipeline.micro_batch};
  const std::filesystem::path folder = std::filesystem::path(file_.path).parent_path();
  custom_ = read_schedule_csv(folder / file_.pipeline.schedule_file,
                              schedule_shape(*network_, *devices_, whole.micro_batches(), true));
}

void Session::open_delays() {
  delays_ = resolve_delays(*network_, file_.pipeline.inject);
  if (delays_.results.empty()) return;
  std::vector<std::string> texts;
  for (const InjectedResult& injected : delays_.results) texts.push_back(injected.text);
  warn(fmt::format("delays are injected: {}; times are not this machine's own", fmt::join(texts, "; ")));
}

PipelineOptions Session::pipeline_options(const std::string& schedule) const {
  PipelineOptions options;
  options.schedule = find_schedule_type(schedule.empty() ? file_.pipeline.schedule : schedule);
  options.batch = file_.training.batch;
  options.micro_batch = file_.pipeline.micro_batch > 0 ? file_.pipeline.micro_batch : file_.training.batch;
  if (schedule.empty()) {
    options.custom = custom_;
    options.in_flight = file_.pipeline.in_flight;
    options.link_capacity = file_.pipeline.link_capacity;
    options.weight_versions = file_.pipeline.flush == Flush::stashing          ? WeightVersions::stashing
                              : file_.pipeline.flush == Flush::double_buffered ? WeightVersions::double_buffered
                                                                               : WeightVersions::flush;
  }
  options.training = training();
  options.seed = file_.training.seed;
  options.delays = delays_;
  options.watchdog_seconds = file_.pipeline.watchdog_seconds;
  options.device_bytes = memory_limits();
  return options;
}

/// One a device of devices(), where the file says any: the smallest of those that are put on it.
std::vector<double> Session::memory_limits() const {
  std::vector<double> limits;
  for (const DeviceEntry& entry : file_.devices) {
    if (entry.memory_limit == 0 || !devices_->has(entry.name)) continue;
    limits.resize(static_cast<std::size_t>(devices_->size()), std::numeric_limits<double>::infinity());
    double& limit = limits[static_cast<std::size_t>(devices_->index_of(entry.name))];
    limit = std::min(limit, static_cast<double>(entry.memory_limit));
  }
  return limits;
}

std::unique_ptr<Pipeline> Session::open_pipeline(const PipelineOptions& options) const {
  ParameterFile start =
      options_.init ? read_parameter_file(*options_.init) : initial_parameters(*network_, file_.training.seed);
  std::erase_if(start.tensors, [](const NamedTensor& tensor) { return tensor.name.find('#') != std::string::npos; });
  auto pipeline =
      std::make_unique<Pipeline>(*network_, *devices_, options, options.training ? optimizer_.get() : nullptr);
  pipeline->set_parameters(start, options_.init ? options_.init->string() : "");
  return pipeline;
}

void Session::renew_devices() {
  std::vector<std::string> said_before;
  devices_.reset();
  devices_ = std::make_unique<DeviceSet>(file_, said_before);
}

BatchCut Session::cut(std::int64_t images) const {
  const PipelineOptions options = pipeline_options();
  return {images, options.batch, std::min(options.micro_batch, options.batch)};
}

LearningRate Session::learning_rate() const {
  return {file_.training.schedule, optimizer_->learning_rate(), file_.training.epochs, cut(train_images_).batches()};
}

Session::TestResult Session::run_test(Pipeline& pipeline, bool timed, bool keep_outputs,
                                      const std::function<void(std::int64_t images, double loss_sum)>& progress) const {
  std::vector<std::uint32_t> samples(static_cast<std::size_t>(test_->size()));
  std::iota(samples.begin(), samples.end(), 0u);
  PassRequest request;
  request.facts.mode = Mode::infer;
  request.facts.cut = cut(test_->size());
  request.source = test_.get();
  request.samples = samples;
  request.timed = timed;
  request.keep_outputs = keep_outputs;
  request.stop = options_.stop;
  request.progress = progress;
  const PassResult pass = pipeline.run(request);
  TestResult result;
  result.images = pass.images;
  result.seconds = pass.seconds;
  result.stopped = pass.images < test_->size();
  const bool known = !result.stopped && result.images > 0;
  result.accuracy = known ? static_cast<double>(pass.correct) / static_cast<double>(result.images)
                          : std::numeric_limits<double>::quiet_NaN();
  result.loss = known ? pass.loss_sum / static_cast<double>(result.images) : std::numeric_limits<double>::quiet_NaN();
  return result;
}

ParameterFile initial_parameters(const Network& network, std::uint64_t seed) {
  ParameterFile file;
  for (const FileParameter& parameter : file_parameters(network)) {
    NamedTensor& tensor = file.tensors.emplace_back();
    tensor.name = parameter.name;
    tensor.shape = parameter.spec.shape;
    tensor.values.resize(static_cast<std::size_t>(parameter.spec.elements()));
    initialize(parameter.spec, tensor.name, seed, tensor.values);
  }
  return file;
}

std::string parameters_sha256(const std::vector<NamedTensor>& parameters) {
  std::vector<float> all;
  for (const NamedTensor& tensor : parameters) all.insert(all.end(), tensor.values.begin(), tensor.values.end());
  return sha256(std::as_bytes(std::span(all)));
}

}  // namespace lenet_flow

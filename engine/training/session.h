#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/data/catalog.h"
#include "engine/data/image_source.h"
#include "engine/graph/network.h"
#include "engine/pipeline/pipeline.h"
#include "engine/training/learning_rate.h"
#include "engine/training/trainer.h"

namespace lenet_flow {

/// Everything that a command on a graph file works with, opened and checked: file, data, network, devices. Keeps a
/// reference to the options.
class Session {
 public:
  /// What data a command needs: `shapes` needs none for known sets.
  enum class Data { all, shapes };

  /// Throws InputError, MissingError.
  Session(const RunOptions& options, Data data);

  const RunOptions& options() const { return options_; }
  const GraphFile& file() const { return file_; }
  const Network& network() const { return *network_; }
  const DeviceSet& devices() const { return *devices_; }
  const DataSet& data() const { return data_; }
  const ImageSource& train() const { return *train_; }
  const ImageSource& test() const { return *test_; }
  const Optimizer& optimizer() const { return *optimizer_; }
  /// Images that an epoch trains on: all, or what --limit leaves.
  std::int64_t train_images() const { return train_images_; }
  /// What `--inject` and the file's "inject" ask for.
  const InjectedDelays& delays() const { return delays_; }
  bool training() const { return file_.training.mode == Mode::train; }

  /// Options of a pipeline by the file's schedule, or by another.
  PipelineOptions pipeline_options(const std::string& schedule = {}) const;
  /// A pipeline with its first parameters: those of --init (optimizer state in the file is left alone: training starts
  /// anew), or drawn from the seed. One at a time: it holds the devices.
  std::unique_ptr<Pipeline> open_pipeline(const PipelineOptions& options) const;
  /// Makes the devices anew, with all their memory free: what a pipeline took stays taken when it is gone. No pipeline
  /// may be open.
  void renew_devices();
  /// How a pass over so many images is cut.
  BatchCut cut(std::int64_t images) const;
  LearningRate learning_rate() const;

  /// One pass over the test split. Accuracy and loss are NaN where it was stopped.
  struct TestResult {
    double accuracy = 0, loss = 0, seconds = 0;
    std::int64_t images = 0;
    bool stopped = false;
  };
  /// `timed`: counts in the stages' results. `keep_outputs`: for Pipeline::outputs().
  TestResult run_test(Pipeline& pipeline, bool timed, bool keep_outputs,
                      const std::function<void(std::int64_t images, double loss_sum)>& progress) const;

  /// Adds a warning and shows it.
  void warn(const std::string& line);
  const std::vector<std::string>& warnings() const { return warnings_; }

 private:
  void open_data(Data data);
  void open_schedule();
  void open_delays();
  std::vector<double> memory_limits() const;

  const RunOptions& options_;
  GraphFile file_;
  DataSet data_;
  std::unique_ptr<ImageSource> train_, test_;
  std::int64_t train_images_ = 0;
  std::unique_ptr<Network> network_;
  std::unique_ptr<Optimizer> optimizer_;
  std::unique_ptr<DeviceSet> devices_;
  std::optional<Schedule> custom_;  ///< read from pipeline.schedule_file
  InjectedDelays delays_;
  std::vector<std::string> warnings_;
};

/// Every parameter as it starts: a pure function of the seed and the layers' names.
ParameterFile initial_parameters(const Network& network, std::uint64_t seed);

/// SHA-256 over every parameter as little-endian float32, in the order given: that of the file.
std::string parameters_sha256(const std::vector<NamedTensor>& parameters);

}  // namespace lenet_flow

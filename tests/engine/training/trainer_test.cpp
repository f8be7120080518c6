#include "engine/training/trainer.h"

#include <doctest/doctest.h>

#include <atomic>
#include <cmath>

#include "engine/training/checkpoint.h"
#include "engine/training/verify.h"
#include "tests/engine/training/small_training.h"

using namespace lenet_flow;

namespace {

bool says(const std::string& text, const std::string& part) {
  const bool found = text.find(part) != std::string::npos;
  if (!found) MESSAGE("'" << part << "' is not in: " << text);
  return found;
}

template <typename Error>
std::string error_of(const RunOptions& options) {
  try {
    run_graph(options);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("a small training learns, and its result says what it did") {
  const SmallTraining small;
  const RunOptions options = small.options(true);
  std::vector<EpochResult> ended;
  RunOptions with_progress = options;
  with_progress.command = "lenet-flow run two.json";
  with_progress.progress = [&](const Progress& progress) {
    CHECK(progress.epochs == 3);
    CHECK(progress.epoch >= 1);
    CHECK(progress.epoch <= 3);
    CHECK(progress.images <= progress.epoch_images);
    CHECK(progress.epoch_images == (progress.evaluating ? 40 : 100));
    CHECK(std::isfinite(progress.seconds_left));
    CHECK(progress.seconds_left >= 0);
    if (progress.epoch_ended) ended.push_back(*progress.epoch_ended);
  };
  const RunResult result = run_graph(with_progress);
  CHECK(result.mode == "train");
  CHECK(result.graph == "quarters");
  CHECK(result.command == "lenet-flow run two.json");
  CHECK(result.data_set == "quarters");
  CHECK(result.seed == 7);
  CHECK(!result.interrupted);
  CHECK(result.images == 300);
  CHECK(result.seconds > 0);
  CHECK(result.wall_seconds >= result.seconds);
  CHECK(result.images_per_second == doctest::Approx(300 / result.seconds));
  REQUIRE(result.epochs.size() == 3);
  REQUIRE(ended.size() == 3);
  double seconds = 0;
  for (std::size_t i = 0; i < 3; ++i) {
    const EpochResult& epoch = result.epochs[i];
    CHECK(epoch.epoch == static_cast<int>(i) + 1);
    CHECK(epoch.images == 100);
    CHECK(epoch.learning_rate == 0.1);
    CHECK(epoch.test_loss == ended[i].test_loss);
    seconds += epoch.seconds;
  }
  CHECK(seconds == doctest::Approx(result.seconds).epsilon(1e-12));
  CHECK(result.epochs[2].loss < result.epochs[0].loss);
  CHECK(result.test_accuracy == result.epochs[2].test_accuracy);
  CHECK(result.test_loss == result.epochs[2].test_loss);
  CHECK(result.test_accuracy > 0.8);  // a quarter by chance
  CHECK(result.parameters_sha256.size() == 64);
  CHECK(result.pipeline.schedule == "gpipe");
  CHECK(result.pipeline.stages == 2);
  CHECK(result.pipeline.micro_batch == 6);
  CHECK(result.pipeline.micro_batches == 3);
  CHECK(result.pipeline.bubble_measured >= 0);
  CHECK(result.pipeline.bubble_measured < 1);
}

TEST_CASE("every stage's states sum to the run's seconds") {
  const SmallTraining small;
  for (const bool two_stages : {false, true}) {
    for (const char* mode : {"train", "infer"}) {
      INFO(mode << (two_stages ? ", two stages" : ", one stage"));
      const RunResult result = run_graph(small.options(two_stages, {std::string("training.mode=") + mode}));
      REQUIRE(result.stages.size() == (two_stages ? 2 : 1));
      for (const StageResult& stage : result.stages) {
        CHECK(stage.images == result.images);
        CHECK(stage.seconds.compute > 0);
        CHECK(stage.seconds.sum() == doctest::Approx(result.seconds).epsilon(1e-12));
        CHECK(stage.seconds.unaccounted == 0);
        const StateSeconds& s = stage.seconds;
        for (const double state : {s.compute, s.transfer, s.launch, s.sync, s.blocked, s.starved, s.no_credit,
                                   s.contended, s.optimizer, s.fill, s.drain})
          CHECK(state >= 0);
      }
    }
  }
}

TEST_CASE("the parameters depend on seed and data, not on placement, schedule or cores") {
  const SmallTraining small;
  const std::string sha = run_graph(small.options(false)).parameters_sha256;
  CHECK(run_graph(small.options(false)).parameters_sha256 == sha);
  CHECK(run_graph(small.options(true)).parameters_sha256 == sha);
  CHECK(run_graph(small.options(true, {"pipeline.schedule=sequential"})).parameters_sha256 == sha);
  CHECK(run_graph(small.options(false, {"devices.cpu0.cores=2"})).parameters_sha256 == sha);
  CHECK(run_graph(small.options(false, {"training.seed=8"})).parameters_sha256 != sha);
}

TEST_CASE("auto measures first, takes what the file gives instead, and changes no bit") {
  const SmallTraining training;
  const RunResult by_name = run_graph(training.options(true));
  const RunResult measured = run_graph(training.options(true, {"pipeline.schedule=auto"}));
  CHECK(measured.parameters_sha256 == by_name.parameters_sha256);
  CHECK(by_name.pipeline.costs.empty());
  REQUIRE(measured.pipeline.costs.size() == 2);
  for (const StageCostsResult& costs : measured.pipeline.costs) {
    CHECK(costs.source == "measured");
    CHECK(costs.forward > 0);
    CHECK(costs.forward < 0.1);
    CHECK(costs.update > 0);
  }
  CHECK(measured.images == by_name.images);  // what was measured on does not count

  const std::string stages =
      R"(pipeline.stages=[{"name": "conv", "layers": ["conv1", "relu1", "pool1"], "costs": {"forward_us": 1e6,
         "input_gradients_us": 2e6, "parameter_gradients_us": 3e6, "update_us": 4e6}},
         {"name": "dense", "layers": ["flat", "drop", "fc1"], "costs": {"forward_us": 5e6}}])";
  const RunResult given = run_graph(training.options(true, {"pipeline.schedule=auto", stages}));
  CHECK(given.parameters_sha256 == by_name.parameters_sha256);
  REQUIRE(given.pipeline.costs.size() == 2);
  const StageCostsResult& conv = given.pipeline.costs[0];
  CHECK(conv.source == "given");
  CHECK(std::vector{conv.forward, conv.input_gradients, conv.parameter_gradients, conv.update} ==
        std::vector{1.0, 2.0, 3.0, 4.0});
  CHECK(given.pipeline.costs[1].source == "given and measured");
  CHECK(given.pipeline.costs[1].forward == 5.0);
  CHECK(given.pipeline.costs[1].update < 0.1);
}

TEST_CASE("what auto measures of layers of known length is their length") {
  const SmallTraining training;
  const RunResult result =
      run_graph(training.options(true, {"pipeline.schedule=auto", "training.epochs=1",
                                        R"(layers=[{"name": "flat", "type": "flatten", "device": "cpu0"},
                        {"name": "fc1", "type": "dense", "out_features": 4, "device": "cpu0"},
                        {"name": "busy", "type": "busy", "forward_us": 300, "input_gradients_us": 200,
                         "parameter_gradients_us": 100, "device": "cpu1"}])"}));
  REQUIRE(result.pipeline.costs.size() == 2);
  const StageCostsResult& busy = result.pipeline.costs[1];
  // Of micro-batches of 6 images, the last of a batch of 4: the median is a full one's. A busy machine makes it longer.
  CHECK(busy.forward >= 6 * 300e-6);
  CHECK(busy.input_gradients >= 6 * 200e-6);
  CHECK(busy.parameter_gradients >= 6 * 100e-6);
  CHECK(busy.forward < 10 * 6 * 300e-6);
  CHECK(busy.update < busy.parameter_gradients);
}

TEST_CASE("the bubble is the devices' idle time, however many stages share them") {
  const SmallTraining training;
  for (const std::string map : {"", "cpu1"}) {
    RunOptions options = training.options(true, {"training.epochs=1"});
    if (!map.empty()) options.changes.maps = {"cpu0=cpu1"};
    const RunResult result = run_graph(options);
    double compute = 0;
    for (const StageResult& stage : result.stages) compute += stage.seconds.compute;
    const double devices = map.empty() ? 2 : 1;
    CHECK(result.pipeline.bubble_measured == doctest::Approx(1 - compute / (devices * result.seconds)));
    CHECK(result.pipeline.bubble_measured >= 0);
  }
}

TEST_CASE("the learning rate follows its schedule, update by update") {
  const SmallTraining small;
  RunOptions options = small.options(false, {R"(training.schedule={"type": "linear", "minimum": 0.01})"});
  const RunResult linear = run_graph(options);
  REQUIRE(linear.epochs.size() == 3);
  // 7 updates an epoch, 21 in all; an epoch's is that of its last update: number 6, 13, 20 from 0.
  for (std::size_t i = 0; i < 3; ++i)
    CHECK(linear.epochs[i].learning_rate ==
          doctest::Approx(0.1 - 0.09 * static_cast<double>(7 * i + 6) / 21.0).epsilon(1e-12));
}

TEST_CASE("--limit takes the first images, and cannot take less than one") {
  const SmallTraining small;
  RunOptions options = small.options(false, {"training.epochs=1"});
  options.limit = 20;
  const RunResult result = run_graph(options);
  CHECK(result.images == 20);
  CHECK(result.epochs[0].images == 20);
  options.limit = 1000;
  CHECK(run_graph(options).images == 100);
  options.limit = 0;
  CHECK(says(error_of<InputError>(options), "--limit"));
}

TEST_CASE("infer streams the test split and trains nothing") {
  const SmallTraining small;
  RunOptions train = small.options(false);
  train.checkpoint = small.path("checkpoints");
  const RunResult trained = run_graph(train);
  RunOptions infer = small.options(true, {"training.mode=infer"});
  infer.init = small.path("checkpoints") / "epoch-0003.safetensors";
  const RunResult result = run_graph(infer);
  CHECK(result.mode == "infer");
  CHECK(result.images == 40);
  CHECK(result.epochs.empty());
  CHECK(result.parameters_sha256 == trained.parameters_sha256);
  CHECK(result.test_accuracy == trained.test_accuracy);
  CHECK(result.test_loss == trained.test_loss);
  CHECK(result.seconds > 0);
}

TEST_CASE("eval gives what the run gave, with probabilities that fit") {
  const SmallTraining small;
  RunOptions train = small.options(false);
  train.checkpoint = small.path("checkpoints");
  const RunResult trained = run_graph(train);
  const Evaluation evaluation =
      evaluate_graph(small.options(true), small.path("checkpoints") / "epoch-0003.safetensors", true);
  CHECK(evaluation.accuracy == trained.test_accuracy);
  CHECK(evaluation.loss == trained.test_loss);
  CHECK(evaluation.images == 40);
  CHECK(evaluation.class_names.size() == 4);
  REQUIRE(evaluation.labels.size() == 40);
  REQUIRE(evaluation.predicted.size() == 40);
  REQUIRE(evaluation.probabilities.size() == 160);
  int correct = 0;
  double loss = 0;
  for (std::size_t i = 0; i < 40; ++i) {
    const float* row = &evaluation.probabilities[4 * i];
    CHECK(evaluation.labels[i] == static_cast<std::int32_t>(i % 4));
    CHECK(std::max_element(row, row + 4) - row == evaluation.predicted[i]);
    CHECK(row[0] + row[1] + row[2] + row[3] == doctest::Approx(1).epsilon(1e-5));
    correct += evaluation.predicted[i] == evaluation.labels[i];
    loss -= std::log(static_cast<double>(row[evaluation.labels[i]]));
  }
  CHECK(evaluation.accuracy == correct / 40.0);
  CHECK(evaluation.loss == doctest::Approx(loss / 40).epsilon(1e-4));
  CHECK(evaluate_graph(small.options(true), small.path("checkpoints") / "epoch-0003.safetensors", false)
            .probabilities.empty());
}

TEST_CASE("parameters that are not this network's are refused, all of it said at once") {
  const SmallTraining small;
  const auto path = small.path("other.safetensors");
  write_parameter_file(path, {{{"conv1.weight", {3, 1, 5, 5}, std::vector<float>(75)},
                               {"conv1.bias", {3}, std::vector<float>(3)},
                               {"fc1.weight", {4, 48}, std::vector<float>(192)},
                               {"fc9.bias", {4}, std::vector<float>(4)}},
                              {}});
  RunOptions options = small.options(false);
  options.init = path;
  const std::string text = error_of<InputError>(options);
  CHECK(says(text, "conv1.weight: has shape [3, 1, 5, 5], the network needs [3, 1, 3, 3]"));
  CHECK(says(text, "fc1.bias: is not in the file"));
  CHECK(says(text, "fc9.bias: this network has no such parameter"));
  options.init = small.path("data");
  CHECK(says(error_of<InputError>(options), "is a folder"));
  CHECK_THROWS_AS(evaluate_graph(small.options(false), small.path("nowhere"), false), InputError);
}

TEST_CASE("--init takes parameters and leaves optimizer state alone") {
  const SmallTraining small;
  RunOptions first = small.options(false, {"training.epochs=1"});
  first.checkpoint = small.path("checkpoints");
  run_graph(first);
  ParameterFile file = read_parameter_file(small.path("checkpoints") / "epoch-0001.safetensors");
  CHECK(std::erase_if(file.tensors, [](const NamedTensor& t) { return t.name.ends_with("#momentum"); }) == 4);
  write_parameter_file(small.path("bare.safetensors"), file);
  RunOptions with_state = small.options(false), bare = small.options(false);
  with_state.init = small.path("checkpoints") / "epoch-0001.safetensors";
  bare.init = small.path("bare.safetensors");
  const std::string sha = run_graph(bare).parameters_sha256;
  CHECK(run_graph(with_state).parameters_sha256 == sha);
  CHECK(run_graph(small.options(false)).parameters_sha256 != sha);
}

TEST_CASE("numbers that go bad stop the run, name the layer and leave the last checkpoint") {
  const SmallTraining small;
  const std::string loss = R"(loss={"type": "mean_squared_error"})";
  RunOptions options = small.options(true, {loss, "training.epochs=1", "training.optimizer.learning_rate=0.01"});
  options.checkpoint = small.path("checkpoints");
  run_graph(options);
  const std::string before = read_bytes(small.path("checkpoints") / "epoch-0001.safetensors");
  RunOptions wild = small.options(true, {loss, "training.optimizer.learning_rate=1000"});
  wild.checkpoint = small.path("checkpoints");
  wild.resume = true;
  const std::string text = error_of<RunError>(wild);
  CHECK(says(text, "the loss is not a finite number"));
  CHECK(says(text, "it first went wrong in the loss itself"));  // errors are squared
  CHECK(says(text, "epoch 2"));
  CHECK(read_bytes(small.path("checkpoints") / "epoch-0001.safetensors") == before);
  CHECK(std::distance(std::filesystem::directory_iterator(small.path("checkpoints")), {}) == 1);
}

TEST_CASE("the layer in which numbers first go bad is found, before it and behind it all being well") {
  const SmallTraining small;
  struct Bad {
    float conv, dense;
    const char* says;
  };
  constexpr float large = 1e30f;  // times itself it overflows
  for (const Bad& bad : {Bad{3e38f, 0, "it first went wrong in layer 'conv1' (stage 'conv1..pool1', device 'cpu0')"},
                         Bad{large, large, "it first went wrong in layer 'fc1' (stage 'flat..fc1', device 'cpu1')"},
                         Bad{NAN, 0, "parameter 'conv1.weight' was so already"}}) {
    INFO(bad.says);
    write_parameter_file(small.path("bad.safetensors"), {{{"conv1.weight", {3, 1, 3, 3}, std::vector(27, bad.conv)},
                                                          {"conv1.bias", {3}, std::vector(3, 0.0f)},
                                                          {"fc1.weight", {4, 48}, std::vector(192, bad.dense)},
                                                          {"fc1.bias", {4}, std::vector(4, 0.0f)}},
                                                         {}});
    RunOptions options = small.options(true);
    options.init = small.path("bad.safetensors");
    const std::string text = error_of<RunError>(options);
    CHECK(says(text, bad.says));
    CHECK(says(text, "batch 1, epoch 1"));
    CHECK(says(error_of<RunError>([&] {
                 RunOptions infer = small.options(true, {"training.mode=infer"});
                 infer.init = options.init;
                 return infer;
               }()),
               bad.says));
  }
}

TEST_CASE("verify and eval that are stopped say so") {
  const SmallTraining small;
  RunOptions options = small.options(true);
  const std::atomic<int> stop{1};
  options.stop = &stop;
  CHECK(verify_graph(options, 0).interrupted);
  write_parameter_file(small.path("p"), read_parameter_file([&] {
                         RunOptions train = small.options(false, {"training.epochs=1"});
                         train.checkpoint = small.path("c");
                         run_graph(train);
                         return small.path("c") / "epoch-0001.safetensors";
                       }()));
  const Evaluation evaluation = evaluate_graph(options, small.path("p"), false);
  CHECK(evaluation.interrupted);
  CHECK(std::isnan(evaluation.accuracy));
}

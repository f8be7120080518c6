#include <doctest/doctest.h>
#include <fmt/format.h>
#include <sys/resource.h>

#include <atomic>
#include <cmath>
#include <csignal>
#include <limits>

#include "engine/training/training_state.h"
#include "tests/engine/training/small_training.h"

using namespace lenet_flow;

namespace {

bool says(const std::string& text, const std::string& part) {
  const bool found = text.find(part) != std::string::npos;
  if (!found) MESSAGE("'" << part << "' is not in: " << text);
  return found;
}

bool warns(const RunResult& result, const std::string& part) {
  for (const std::string& warning : result.warnings)
    if (warning.find(part) != std::string::npos) return true;
  return false;
}

RunOptions in_folder(RunOptions options, const std::filesystem::path& folder, bool resume) {
  options.checkpoint = folder;
  options.resume = resume;
  return options;
}

/// A run that is stopped as soon as `when` says so of its progress.
RunResult stopped_run(RunOptions options, const std::function<bool(const Progress&)>& when) {
  std::atomic<int> stop{0};
  options.stop = &stop;
  options.progress = [&](const Progress& progress) {
    if (when(progress)) stop = 1;
  };
  return run_graph(options);
}

/// Leaves the checkpoint of a run that was stopped after so many batches of its first epochs.
void stop_after(const RunOptions& options, std::uint64_t batches) {
  Session session(options, Session::Data::all);
  CheckpointFolder folder(*options.checkpoint, session);
  const auto pipeline = session.open_pipeline(session.pipeline_options());
  TrainingState state;
  while (state.at.step < batches) train_epoch(session, *pipeline, state, batches - state.at.step, {});
  folder.save(*pipeline, state);
}

/// Everything that a resume must give as if there had been no stop; times and evaluations left out.
void check_same(const RunResult& whole, const RunResult& resumed) {
  CHECK(resumed.parameters_sha256 == whole.parameters_sha256);
  CHECK(!resumed.interrupted);
  REQUIRE(resumed.epochs.size() == whole.epochs.size());
  for (std::size_t i = 0; i < whole.epochs.size(); ++i) {
    CHECK(resumed.epochs[i].epoch == whole.epochs[i].epoch);
    CHECK(resumed.epochs[i].images == whole.epochs[i].images);
    CHECK(resumed.epochs[i].loss == whole.epochs[i].loss);
    CHECK(resumed.epochs[i].learning_rate == whole.epochs[i].learning_rate);
  }
  CHECK(resumed.test_accuracy == whole.test_accuracy);
  CHECK(resumed.test_loss == whole.test_loss);
}

/// Parameters and optimizer state of two checkpoints, bit for bit.
void check_same_tensors(const std::filesystem::path& a, const std::filesystem::path& b) {
  const ParameterFile first = read_parameter_file(a), second = read_parameter_file(b);
  REQUIRE(first.tensors.size() == second.tensors.size());
  for (std::size_t i = 0; i < first.tensors.size(); ++i) {
    CHECK(first.tensors[i].name == second.tensors[i].name);
    CHECK(first.tensors[i].values == second.tensors[i].values);
  }
}

}  // namespace

TEST_CASE("a run that was stopped anywhere goes on as if it never had been") {
  const SmallTraining small;
  for (const char* optimizer : {R"({"type": "sgd", "learning_rate": 0.1, "momentum": 0.9, "nesterov": true})",
                                R"({"type": "adam", "learning_rate": 0.01})"}) {
    const std::vector<std::string> sets{std::string("training.optimizer=") + optimizer,
                                        R"(training.schedule={"type": "cosine", "warmup": 0.5})"};
    const auto whole_folder = small.path(std::string("whole-") + optimizer[10]);
    const RunResult whole = run_graph(in_folder(small.options(false, sets), whole_folder, false));
    for (const std::uint64_t batches : {1, 6, 7, 10, 20}) {
      for (const bool two_stages : {false, true}) {
        INFO(optimizer << " stopped after " << batches << " batches" << (two_stages ? ", other placement" : ""));
        const TemporaryFolder folder;
        stop_after(in_folder(small.options(false, sets), folder.path(), false), batches);
        const RunResult resumed = run_graph(in_folder(small.options(two_stages, sets), folder.path(), true));
        check_same(whole, resumed);
        CHECK(resumed.images == 300 - static_cast<std::int64_t>(batches / 7 * 100 + batches % 7 * 16));
        check_same_tensors(whole_folder / "epoch-0003.safetensors", folder / "epoch-0003.safetensors");
        CHECK(resumed.warnings.empty());
      }
    }
  }
}

TEST_CASE("Ctrl-C in the midst of an epoch writes a checkpoint, and with none asked for nothing") {
  const SmallTraining small;
  const std::vector<std::string> sets{"training.batch=2", "pipeline.micro_batch=1", "training.epochs=2"};
  const RunResult whole = run_graph(small.options(false, sets));
  // The first report is made before the first batch, the second as soon as the reader is as far ahead as it may be.
  const auto at_second_report = [reports = 0](const Progress&) mutable { return ++reports == 2; };
  const auto folder = small.path("checkpoints");
  const RunResult stopped = stopped_run(in_folder(small.options(false, sets), folder, false), at_second_report);
  CHECK(stopped.interrupted);
  CHECK(std::isnan(stopped.test_accuracy));
  CHECK(stopped.epochs.empty());
  std::vector<std::string> warnings;
  const auto newest = newest_checkpoint(folder, warnings);
  REQUIRE(newest);
  const Position at = read_position(read_parameter_file(*newest).metadata, *newest);
  CHECK(at.epoch == 1);
  CHECK(at.batch > 0);
  CHECK(at.batch < 50);
  CHECK(stopped.images == static_cast<std::int64_t>(2 * at.batch));
  CHECK(newest->filename() == fmt::format("epoch-0001-batch-{:06}.safetensors", at.batch));
  check_same(whole, run_graph(in_folder(small.options(true, sets), folder, true)));
  const auto before = std::distance(std::filesystem::recursive_directory_iterator(small.path("")), {});
  CHECK(stopped_run(small.options(false, sets), at_second_report).interrupted);
  CHECK(std::distance(std::filesystem::recursive_directory_iterator(small.path("")), {}) == before);
}

TEST_CASE("a stop before the first batch, between epochs and in an evaluation leaves a checkpoint to go on from") {
  const SmallTraining small;
  const RunResult whole = run_graph(small.options(false));
  struct Stop {
    const char* where;
    std::function<bool(const Progress&)> when;
    const char* file;
  };
  const Stop stops[] = {
      {"before the first batch", [](const Progress&) { return true; }, "epoch-0000.safetensors"},
      {"after an epoch", [](const Progress& p) { return p.epoch_ended && p.epoch == 2; }, "epoch-0002.safetensors"},
      {"in an evaluation", [](const Progress& p) { return p.evaluating && p.epoch == 1; }, "epoch-0001.safetensors"},
      {"in the last evaluation", [](const Progress& p) { return p.evaluating && p.epoch == 3; },
       "epoch-0003.safetensors"}};
  for (const Stop& stop : stops) {
    INFO(stop.where);
    const TemporaryFolder folder;
    const RunResult stopped = stopped_run(in_folder(small.options(false), folder.path(), false), stop.when);
    CHECK(stopped.interrupted);
    std::vector<std::string> warnings;
    CHECK(newest_checkpoint(folder.path(), warnings) == folder / stop.file);
    const RunResult resumed = run_graph(in_folder(small.options(false), folder.path(), true));
    check_same(whole, resumed);
    for (const EpochResult& epoch : resumed.epochs) CHECK(!std::isnan(epoch.test_loss));
  }
  // Stopped when all was done: nothing was interrupted.
  const RunResult done =
      stopped_run(small.options(false), [](const Progress& p) { return p.epoch_ended && p.epoch == 3; });
  CHECK(!done.interrupted);
  check_same(whole, done);
}

TEST_CASE("a checkpoint is there after every epoch; a run that is over is evaluated; epochs may grow") {
  const SmallTraining small;
  const auto folder = small.path("checkpoints");
  const RunResult two = run_graph(in_folder(small.options(false, {"training.epochs=2"}), folder, false));
  CHECK(std::filesystem::exists(folder / "epoch-0001.safetensors"));
  CHECK(std::filesystem::exists(folder / "epoch-0002.safetensors"));
  CHECK(std::distance(std::filesystem::directory_iterator(folder), {}) == 2);
  const RunResult again = run_graph(in_folder(small.options(true, {"training.epochs=2"}), folder, true));
  check_same(two, again);
  CHECK(again.images == 0);
  CHECK(warns(again, "nothing is left to train: 2 epochs are done, training.epochs is 2"));
  const RunResult three = run_graph(in_folder(small.options(false), folder, true));
  check_same(run_graph(small.options(false)), three);
  CHECK(three.images == 100);
}

TEST_CASE("--resume finds no file: it starts anew and says so; only broken ones: it does not") {
  const SmallTraining small;
  const auto folder = small.path("checkpoints");
  const RunResult result = run_graph(in_folder(small.options(false), folder, true));
  CHECK(warns(result, "there is no checkpoint in '" + folder.string() + "' yet"));
  CHECK(result.parameters_sha256 == run_graph(small.options(false)).parameters_sha256);

  // The newest is broken: the one before is used, with a warning, and the end is the same.
  write_bytes(folder / "epoch-0003.safetensors", read_bytes(folder / "epoch-0003.safetensors").substr(0, 700));
  const RunResult resumed = run_graph(in_folder(small.options(false), folder, true));
  check_same(result, resumed);
  CHECK(resumed.images == 100);
  CHECK(warns(resumed, "epoch-0003.safetensors: "));

  for (const char* name : {"epoch-0001.safetensors", "epoch-0002.safetensors", "epoch-0003.safetensors"})
    write_bytes(folder / name, "broken");
  CHECK_THROWS_WITH_AS(run_graph(in_folder(small.options(false), folder, true)),
                       (folder.string() + ": has no whole checkpoint to go on from").c_str(), InputError);
  RunOptions no_folder = small.options(false);
  no_folder.resume = true;
  CHECK_THROWS_AS(run_graph(no_folder), InputError);
}

TEST_CASE("--resume refuses what would be another run, with both values, and warns of what may differ") {
  const SmallTraining small;
  const auto folder = small.path("checkpoints");
  run_graph(in_folder(small.options(false, {"training.epochs=1"}), folder, false));
  const auto error = [&](std::vector<std::string> sets, std::optional<std::int64_t> limit = {}) {
    RunOptions options = in_folder(small.options(false, std::move(sets)), folder, true);
    options.limit = limit;
    try {
      run_graph(options);
    } catch (const InputError& problem) {
      return std::string(problem.what());
    }
    return std::string();
  };
  CHECK(says(error({"training.seed=8"}), "training.seed: the checkpoint was made with 7, this run has 8"));
  CHECK(says(error({"training.batch=20"}), "training.batch: the checkpoint was made with 16, this run has 20"));
  CHECK(
      says(error({"pipeline.micro_batch=8"}), "pipeline.micro_batch: the checkpoint was made with 6, this run has 8"));
  CHECK(says(error({"data.shuffle=false"}), "data.shuffle: the checkpoint was made with true, this run has false"));
  CHECK(says(error({}, 50), "the checkpoint was made with 100, this run has 50"));
  CHECK(says(error({R"(training.optimizer={"type": "adam", "learning_rate": 0.1})"}),
             "training.optimizer.type: the checkpoint was made with sgd, this run has adam"));
  CHECK(says(error({"layers.conv1.out_channels=5"}),
             "conv1.weight: has shape [3, 1, 3, 3], the network needs [5, 1, 3, 3]"));
  const std::string both = error({"training.seed=8", "training.batch=20"});
  CHECK(says(both, "training.seed"));
  CHECK(says(both, "training.batch"));

  const RunResult result = run_graph(
      in_folder(small.options(false, {"training.optimizer.learning_rate=0.01", "layers.drop.p=0.5"}), folder, true));
  CHECK(result.warnings.size() == 2);
  CHECK(warns(result, "training.optimizer: sgd learning_rate=0.1 momentum=0.9"));
  CHECK(warns(result, "this run has sgd learning_rate=0.01 momentum=0.9"));
  CHECK(warns(result, "made with layers of other types, attributes or connections"));
}

TEST_CASE("a folder that cannot be written to is refused before training starts") {
  const SmallTraining small;
  write_bytes(small.path("file"), "not a folder");
  for (const auto& folder : {small.path("file"), small.path("file") / "below", std::filesystem::path("/proc/none")}) {
    INFO(folder.string());
    RunOptions options = in_folder(small.options(false), folder, false);
    options.progress = [](const Progress&) { FAIL("it trains"); };
    CHECK_THROWS_AS(run_graph(options), InputError);
  }
}

TEST_CASE("a run that starts anew over old checkpoints says so") {
  const SmallTraining small;
  const auto folder = small.path("checkpoints");
  CHECK(run_graph(in_folder(small.options(false), folder, false)).warnings.empty());
  CHECK(warns(run_graph(in_folder(small.options(false), folder, false)), "there is a checkpoint of an earlier run"));
}

TEST_CASE("a full disk fails the run, names the file and leaves the checkpoints before") {
  const SmallTraining small;
  const auto folder = small.path("checkpoints");
  run_graph(in_folder(small.options(false, {"training.epochs=1"}), folder, false));
  const std::string before = read_bytes(folder / "epoch-0001.safetensors");

  rlimit old{};
  REQUIRE(getrlimit(RLIMIT_FSIZE, &old) == 0);
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit tiny{1000, old.rlim_max};
  REQUIRE(setrlimit(RLIMIT_FSIZE, &tiny) == 0);
  std::string message;
  try {
    run_graph(in_folder(small.options(false), folder, true));
  } catch (const RunError& error) {
    message = error.what();
  }
  setrlimit(RLIMIT_FSIZE, &old);
  std::signal(SIGXFSZ, old_handler);

  CHECK(says(message, (folder / "epoch-0002.safetensors").string()));
  CHECK(read_bytes(folder / "epoch-0001.safetensors") == before);
  CHECK(std::distance(std::filesystem::directory_iterator(folder), {}) == 1);
  check_same(run_graph(small.options(false)), run_graph(in_folder(small.options(false), folder, true)));
}

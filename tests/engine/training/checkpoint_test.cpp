#include "engine/training/checkpoint.h"

#include <doctest/doctest.h>

#include <cmath>

#include "engine/graph/diagnostics.h"
#include "engine/training/training_state.h"
#include "tests/engine/training/temporary_folder.h"

using namespace lenet_flow;

namespace {

void write_checkpoint(const std::filesystem::path& path, const Position& at) {
  ParameterFile file;
  file.tensors = {{"w", {3}, {1, 2, 3}}};
  write_position(at, file.metadata);
  write_parameter_file(path, file);
}

TrainingState some_state() {
  TrainingState state;
  state.at = {3, 5, 25};
  state.loss_sum = 0.1 + 0.2;
  state.seconds = 1.0 / 3.0;
  state.epochs = {{1, 640, 1e-300, 2.5, 1.0 / 7.0, 0.9, 0.05}, {2, 640, 3.25, 0.125, NAN, NAN, 0.04}};
  return state;
}

}  // namespace

TEST_CASE("the newest checkpoint is the one furthest on, not the one that sorts last") {
  const TemporaryFolder folder;
  std::vector<std::string> warnings;
  CHECK(!newest_checkpoint(folder / "nowhere", warnings));
  CHECK(!newest_checkpoint(folder.path(), warnings));
  write_checkpoint(folder / "epoch-0002.safetensors", {3, 0, 20});
  write_checkpoint(folder / "epoch-0010.safetensors", {11, 0, 100});
  write_checkpoint(folder / "epoch-0011-batch-000004.safetensors", {11, 4, 104});
  write_checkpoint(folder / "epoch-0009.safetensors", {10, 0, 90});
  write_checkpoint(folder / "copy.safetensors", {1, 2, 2});
  CHECK(newest_checkpoint(folder.path(), warnings) == folder / "epoch-0011-batch-000004.safetensors");
  CHECK(warnings.empty());
}

TEST_CASE("broken and foreign files are passed over with a warning each, other files in silence") {
  const TemporaryFolder folder;
  write_checkpoint(folder / "epoch-0001.safetensors", {2, 0, 10});
  write_checkpoint(folder / "epoch-0002.safetensors", {3, 0, 20});
  const std::string whole = read_bytes(folder / "epoch-0002.safetensors");
  write_bytes(folder / "epoch-0002.safetensors", whole.substr(0, whole.size() - 3));
  write_parameter_file(folder / "foreign.safetensors", {{{"w", {1}, {1}}}, {{"format", "pt"}}});
  write_bytes(folder / "epoch-0003.safetensors", "");
  write_bytes(folder / ".epoch-0009.safetensors.77.tmp", whole);
  write_bytes(folder / ".hidden.safetensors", whole);
  write_bytes(folder / "notes.txt", "hello");
  std::filesystem::create_directory(folder / "folder.safetensors");
  std::vector<std::string> warnings;
  CHECK(newest_checkpoint(folder.path(), warnings) == folder / "epoch-0001.safetensors");
  REQUIRE(warnings.size() == 4);
  CHECK(warnings[0].find("epoch-0002.safetensors: ") != std::string::npos);
  CHECK(warnings[0].find("truncated") != std::string::npos);
  CHECK(warnings[1].find("epoch-0003.safetensors: is 0 bytes long") != std::string::npos);
  CHECK(warnings[2].find("folder.safetensors: is a folder") != std::string::npos);
  CHECK(warnings[3].find("foreign.safetensors: is not a checkpoint of lenet-flow") != std::string::npos);
  for (const std::string& warning : warnings) CHECK(warning.ends_with("; passed over"));
  CHECK_THROWS_AS(newest_checkpoint(folder / "notes.txt", warnings), InputError);
}

TEST_CASE("a position is read as it was written, and nothing else is taken for one") {
  Metadata metadata;
  write_position({4294967295u, 18446744073709551615u, 7}, metadata);
  CHECK(read_position(metadata, "f") == Position{4294967295u, 18446744073709551615u, 7});
  for (const char* wrong : {"", "-1", "1.5", "1 ", " 1", "x", "4294967296", "0"}) {
    INFO("'" << wrong << "'");
    metadata["lenet-flow.epoch"] = wrong;
    CHECK_THROWS_AS(read_position(metadata, "f"), InputError);
  }
  metadata.erase("lenet-flow.epoch");
  CHECK_THROWS_AS(read_position(metadata, "f"), InputError);
}

TEST_CASE("a run's state comes back bit for bit") {
  const TrainingState state = some_state();
  Metadata metadata;
  write_state(state, metadata);
  const TrainingState back = read_state(metadata, 10, "f");
  CHECK(back.at == state.at);
  CHECK(back.loss_sum == state.loss_sum);
  CHECK(back.seconds == state.seconds);
  REQUIRE(back.epochs.size() == 2);
  for (std::size_t i = 0; i < 2; ++i) {
    CHECK(back.epochs[i].epoch == state.epochs[i].epoch);
    CHECK(back.epochs[i].images == state.epochs[i].images);
    CHECK(back.epochs[i].seconds == state.epochs[i].seconds);
    CHECK(back.epochs[i].loss == state.epochs[i].loss);
    CHECK(back.epochs[i].learning_rate == state.epochs[i].learning_rate);
  }
  CHECK(back.epochs[0].test_loss == state.epochs[0].test_loss);
  CHECK(back.epochs[0].test_accuracy == state.epochs[0].test_accuracy);
  CHECK(std::isnan(back.epochs[1].test_loss));
}

TEST_CASE("a state that is malformed or contradicts itself is refused") {
  Metadata whole;
  write_state(some_state(), whole);
  CHECK_NOTHROW(read_state(whole, 10, "f"));
  const auto refused = [&](const std::string& key, const std::string& value) {
    INFO(key << " = '" << value << "'");
    Metadata metadata = whole;
    metadata[key] = value;
    CHECK_THROWS_AS(read_state(metadata, 10, "f"), InputError);
  };
  for (const auto& entry : whole) {
    const std::string& key = entry.first;
    Metadata metadata = whole;
    metadata.erase(key);
    INFO(key);
    CHECK_THROWS_AS(read_state(metadata, 10, "f"), InputError);
  }
  refused("lenet-flow.step", "24");
  refused("lenet-flow.epoch", "4");
  refused("lenet-flow.epoch", "4294967295");
  refused("lenet-flow.batch", "10");
  refused("lenet-flow.loss_sum", "");
  refused("lenet-flow.loss_sum", "1.5x");
  refused("lenet-flow.seconds", "one");
  refused("lenet-flow.epochs", "");
  refused("lenet-flow.epochs", "1 640 1 2 3 4 5");
  refused("lenet-flow.epochs", "1 640 1 2 3 4 5;3 640 1 2 3 4 5");
  refused("lenet-flow.epochs", "1 640 1 2 3 4 5;2 640 1 2 3 4");
  refused("lenet-flow.epochs", "1 640 1 2 3 4 5;2 640 1 2 3 4 5 6");
}

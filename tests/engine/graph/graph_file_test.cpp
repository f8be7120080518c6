// What read_graph_file() and parse_graph_file() say of each thing that can be wrong in a file, word for word.
#include <fmt/format.h>

#include <chrono>
#include <filesystem>
#include <fstream>

#include <unistd.h>

#include "tests/engine/graph/support.h"

using namespace lenet_flow;
using namespace lenet_flow::graph_test;

namespace {

Lines with_layers(const std::string& layers) {
  Parts parts;
  parts.layers = "\"layers\": [" + layers + "]";
  return errors_of(parts.text());
}

Lines with(std::string Parts::*part, const std::string& value) {
  Parts parts;
  parts.*part = value;
  return errors_of(parts.text());
}

const std::string conv = R"({"name": "conv1", "type": "conv2d", "out_channels": 6, "kernel": 5)";

}  // namespace

TEST_CASE("A right file is read with its defaults filled in") {
  const GraphFile file = parse_graph_file(Parts{}.text(), "g.json");
  CHECK(file.name == "small");
  CHECK(file.path == "g.json");
  CHECK(file.warnings.empty());
  REQUIRE(file.devices.size() == 1);
  CHECK(file.devices[0].asked == "cpu, 1 core");
  REQUIRE(file.layers.size() == 2);
  CHECK(file.layers[0].after == Lines{"input"});
  CHECK(file.layers[1].after == Lines{"flat"});
  CHECK(file.layers[1].device == "cpu0");  // the only one
  CHECK(file.layers[1].attributes.integer("out_features") == 10);
  CHECK(file.layers[1].attributes.boolean("bias"));
  REQUIRE(file.data.preprocess.size() == 1);
  CHECK(file.data.preprocess[0].type == "scale");
  CHECK(file.data.preprocess[0].attributes.number("by") == doctest::Approx(1.0 / 255));
  CHECK(file.data.shuffle);
  CHECK(file.training.epochs == 2);
  CHECK(file.training.optimizer.type == "sgd");
  CHECK(file.training.optimizer.attributes.number("learning_rate") == 0.01);
  CHECK(file.training.schedule.type == "constant");
  CHECK(file.pipeline.schedule == "gpipe");
  CHECK(file.pipeline.micro_batch == 16);
  CHECK(file.pipeline.in_flight == 0);
}

TEST_CASE("The micro-batch is the batch where the file says none, and the name is the file's") {
  Parts parts;
  parts.pipeline = parts.more = "";
  const GraphFile file = parse_graph_file(parts.text(), "graphs/mine.json");
  CHECK(file.pipeline.micro_batch == 64);
  CHECK(file.name == "mine");
}

TEST_CASE("Preprocessing that is given is all there is") {
  Parts parts;
  parts.data = R"("data": {"set": "mnist", "preprocess": []})";
  CHECK(parse_graph_file(parts.text(), "g.json").data.preprocess.empty());
}

TEST_CASE("A byte order mark before the text is no part of it") {
  CHECK(errors_of("\xef\xbb\xbf" + Parts{}.text()).empty());
  CHECK(errors_of("\xef\xbb\xbf[x]") == Lines{"g.json:1:2: expected a value, got x"});
}

TEST_CASE("Files that cannot be read") {
  namespace fs = std::filesystem;
  const fs::path folder = fs::temp_directory_path() / fmt::format("lenet-flow-graph-test-{}", ::getpid());
  fs::create_directories(folder);
  const auto error_of = [](const fs::path& path) {
    try {
      read_graph_file(path);
    } catch (const InputError& error) {
      return std::string(error.what());
    }
    return std::string("no error");
  };
  const auto write = [&](const char* name, const std::string& text) {
    std::ofstream file(folder / name);
    file << text;
  };
  const std::string base = folder.string();
  CHECK(error_of(folder) == base + ": expected a graph file, got a folder");
  CHECK(error_of(folder / "none.json") == base + "/none.json: no such file");
  write("lenet5.json", Parts{}.text());
  CHECK(error_of(folder / "lenet5.json") == "no error");
  CHECK(error_of(folder / "lenet.json") ==
        base + "/lenet.json: no such file; did you mean '" + base + "/lenet5.json'?");
  CHECK(error_of("/dev/zero") == "/dev/zero: expected a graph file, got no regular file");
  write("empty.json", "");
  CHECK(error_of(folder / "empty.json") == base + "/empty.json: expected a graph file, got an empty file");
  write("huge.json", "");
  fs::resize_file(folder / "huge.json", std::uintmax_t{1} << 40);  // a hole: takes no room
  CHECK(error_of(folder / "huge.json") == base + "/huge.json: expected a file of at most 4 MiB");
  CHECK(error_of(folder / "lenet5.json" / "x.json") != "no error");
  fs::remove_all(folder);
}

TEST_CASE("The whole file") {
  CHECK(errors_of("[1]") == Lines{"g.json:1:1: expected an object: { ... }, got [1]"});
  CHECK(errors_of("{}") ==
        Lines{"g.json:1:1: version: missing; expected 1, the version of the file's form",
              "g.json:1:1: devices: missing; expected an object of devices, such as {\"cpu0\": {\"kind\": \"cpu\"}}",
              "g.json:1:1: data: missing; expected an object such as {\"set\": \"mnist\"}",
              "g.json:1:1: layers: missing; expected a list of layers: [ {\"name\": ..., \"type\": ...}, ... ]",
              "g.json:1:1: loss: missing; expected an object such as {\"type\": \"softmax_cross_entropy\"}"});
  CHECK(with(&Parts::version, R"("version": 2)") ==
        Lines{"g.json:2:12: version: expected 1, the version of the file's form, got 2"});
  CHECK(with(&Parts::version, R"("version": "1")").size() == 1);
  CHECK(with(&Parts::version, R"("version": 1.0)").empty());
  CHECK(with(&Parts::more, R"("trainig": {})") == Lines{"g.json:9:1: unknown key 'trainig'; did you mean 'training'?"});
  CHECK(with(&Parts::more, R"("name": "")") == Lines{"g.json:9:9: name: expected a line of 1 to 100 bytes, got \"\""});
  CHECK(with(&Parts::more, R"("name": "a\nb")").size() == 1);
  CHECK(with(&Parts::more, R"("version": 1)") ==
        Lines{"g.json:9:1: duplicate key 'version'; it stands at 2:1 already"});
  CHECK(with(&Parts::more, R"("$schema": "graph.schema.json")").empty());
}

TEST_CASE("All errors of a file come at once, in the order of their places") {
  Parts parts;
  parts.devices = R"("devices": {"cpu0": {"kind": "tpu"}})";
  parts.data = R"("data": {"set": 5, "shufle": true})";
  parts.layers = R"("layers": [{"name": "fc", "type": "dens", "out_features": 10}])";
  parts.training = R"("training": {"epochs": -3, "batch": "64"})";
  CHECK(errors_of(parts.text()) ==
        Lines{"g.json:3:30: devices.cpu0.kind: expected \"cpu\" or \"cuda\", got \"tpu\"",
              "g.json:4:17: data.set: expected the name of a data set (a known one, or a folder under --data), not a "
              "path, got 5",
              "g.json:4:20: data: unknown key 'shufle'; did you mean 'shuffle'?",
              "g.json:5:35: layers.fc.type: unknown layer type 'dens'; did you mean 'dense'?",
              "g.json:7:24: training.epochs: expected a positive integer, got -3",
              "g.json:7:37: training.batch: expected a positive integer, got \"64\"; write it without quotes"});
}

TEST_CASE("A file with thousands of errors costs neither time nor paper") {
  std::string layers;
  for (int i = 0; i < 20000; ++i)
    layers +=
        fmt::format(R"({}{{"name": "l{}", "type": "relu", "after": "nobody{}", "colour": 1}})", i ? ",\n" : "", i, i);
  Parts parts;
  parts.layers = "\"layers\": [" + layers + "]";
  const auto start = std::chrono::steady_clock::now();
  try {
    parse_graph_file(parts.text(), "g.json");
    FAIL("no error");
  } catch (const InputError& error) {
    CHECK(error.diagnostics().size() == 50);
    CHECK(std::string(error.what()).ends_with("\n... and 39950 more errors"));
    CHECK(std::string(error.what()).size() < 20000);
  }
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(5));
}

TEST_CASE("Devices") {
  CHECK(with(&Parts::devices, R"("devices": {})") ==
        Lines{"g.json:3:12: devices: expected at least one device, such as {\"cpu0\": {\"kind\": \"cpu\"}}, got {}"});
  CHECK(with(&Parts::devices, R"("devices": [])") ==
        Lines{"g.json:3:12: devices: expected an object: { ... }, got []"});
  CHECK(with(&Parts::devices, R"("devices": {"cpu0": {}})") ==
        Lines{"g.json:3:21: devices.cpu0.kind: missing; expected \"cpu\" or \"cuda\""});
  CHECK(with(&Parts::devices, R"("devices": {"cpu0": {"kind": "cpu", "cores": 0}})") ==
        Lines{"g.json:3:46: devices.cpu0.cores: expected a positive integer or a list of different core numbers, such "
              "as [2, 3], got 0"});
  CHECK(with(&Parts::devices, R"("devices": {"cpu0": {"kind": "cpu", "cores": 1000000}})") ==
        Lines{"g.json:3:46: devices.cpu0.cores: expected at most 4096, got 1000000"});
  for (const char* cores : {"[]", "[1, 1]", "[-1]", "[1.5]", "[\"1\"]", "\"1\"", "1.5", "null", "[99999]", "1e30"}) {
    CAPTURE(cores);
    CHECK(
        with(&Parts::devices, fmt::format(R"("devices": {{"cpu0": {{"kind": "cpu", "cores": {}}}}})", cores)).size() ==
        1);
  }
  CHECK(with(&Parts::devices, R"("devices": {"cpu0": {"kind": "cpu", "index": 0}})") ==
        Lines{"g.json:3:37: devices.cpu0: unknown key 'index'; known: cores, kind, memory_limit"});
  CHECK(with(&Parts::devices, R"("devices": {"g": {"kind": "cuda", "index": 64}})") ==
        Lines{"g.json:3:44: devices.g.index: expected at most 63, got 64"});
  CHECK(with(&Parts::devices, R"("devices": {"g": {"kind": "cuda", "otherwise": "gpu"}})") ==
        Lines{"g.json:3:48: devices.g.otherwise: expected \"cpu\" (a CPU device of one core where there is no such "
              "GPU), got \"gpu\""});
  CHECK(with(&Parts::devices, R"("devices": {"cpu": {"kind": "cpu"}})") ==
        Lines{"g.json:3:13: devices.cpu: expected another name than that of a kind, such as 'cpu0'"});
  CHECK(with(&Parts::devices, R"("devices": {"my cpu": {"kind": "cpu"}})") ==
        Lines{"g.json:3:13: devices.my cpu: expected a name of letters, digits, '_', '-' and '.'"});
  CHECK(with(&Parts::devices, R"("devices": {"a": {"kind": "cpu"}, "a": {"kind": "cpu"}})") ==
        Lines{"g.json:3:35: devices: duplicate key 'a'; it stands at 3:13 already"});
}

TEST_CASE("Where there are no devices, layers are not blamed for it") {
  Parts parts;
  parts.devices = "";
  parts.layers = R"("layers": [{"name": "a", "type": "relu", "device": "cpu0"}])";
  CHECK(errors_of(parts.text()).size() == 1);
  std::string many;
  for (int i = 0; i < 1025; ++i) many += fmt::format(R"({}"d{}": {{"kind": "cpu"}})", i ? ", " : "", i);
  parts.devices = "\"devices\": {" + many + "}";
  CHECK(errors_of(parts.text()) == Lines{"g.json:3:12: devices: expected at most 1024 devices, got 1025"});
}

TEST_CASE("Devices keep the order of the file and say what was asked") {
  Parts parts;
  parts.devices =
      R"("devices": {"z": {"kind": "cpu", "cores": [2, 3]}, "a": {"kind": "cuda", "index": 1, "otherwise": "cpu"}, "m": {"kind": "cpu", "cores": 2}})";
  parts.layers =
      R"("layers": [{"name": "flat", "type": "flatten", "device": "z"}, {"name": "fc", "type": "dense", "out_features": 10, "device": "a"}])";
  const GraphFile file = parse_graph_file(parts.text(), "g.json");
  REQUIRE(file.devices.size() == 3);
  CHECK(file.devices[0].asked == "cpu, cores [2, 3]");
  CHECK(file.devices[0].core_list == std::vector<int>{2, 3});
  CHECK(file.devices[0].cores == 2);
  CHECK(file.devices[1].name == "a");
  CHECK(file.devices[1].asked == "cuda 1");
  CHECK(file.devices[1].otherwise_cpu);
  CHECK(file.devices[2].asked == "cpu, 2 cores");
  CHECK(file.warnings == Lines{"g.json:3:107: devices.m: no layer is on this device"});
}

TEST_CASE("Layers") {
  CHECK(with(&Parts::layers, R"("layers": [])") == Lines{"g.json:5:11: layers: expected at least one layer, got []"});
  CHECK(with(&Parts::layers, R"("layers": {})") ==
        Lines{"g.json:5:11: layers: expected a list of layers: [ {\"name\": ..., \"type\": ...}, ... ], got {}"});
  CHECK(with_layers("5") == Lines{"g.json:5:12: layers[0]: expected an object: { ... }, got 5"});
  CHECK(with_layers(R"({"type": "relu"})") ==
        Lines{"g.json:5:12: layers[0].name: missing; expected a name of letters, digits, '_', '-' and '.'"});
  CHECK(with_layers(R"({"name": "input", "type": "relu"})") ==
        Lines{"g.json:5:21: layers.input.name: expected another name; 'input' is the network's input"});
  CHECK(with_layers(R"({"name": "a", "type": "relu"}, {"name": "a", "type": "relu"})") ==
        Lines{"g.json:5:52: layers.a.name: duplicate name 'a'; the layer at 5:12 has it already"});
  for (const char* name :
       {"\"\"", "\"a b\"", "\".a\"", "\"a.\"", "\"a..b\"", "5", "null", "\"a#b\"", "\"a/b\"", "\"größe\""}) {
    CAPTURE(name);
    CHECK(with_layers(fmt::format(R"({{"name": {}, "type": "relu"}})", name)).size() == 1);
  }
  CHECK(with_layers(R"({"name": "features.0", "type": "relu"})").empty());
  const Lines missing = with_layers(R"({"name": "a"})");
  REQUIRE(missing.size() == 1);
  CHECK(missing[0].starts_with("g.json:5:12: layers.a.type: missing; expected one of: "));
  CHECK(missing[0].find("conv2d") != std::string::npos);
  CHECK(with_layers(R"({"name": "a", "type": "Conv2D"})")[0] ==
        "g.json:5:34: layers.a.type: unknown layer type 'Conv2D'; did you mean 'conv2d'?");
  CHECK(with_layers(R"({"name": "a", "type": "relu", "device": "cpu1"})") ==
        Lines{"g.json:5:52: layers.a.device: unknown device 'cpu1'; did you mean 'cpu0'?"});
  CHECK(with_layers(R"({"name": "a", "type": "relu", "device": 0})") ==
        Lines{"g.json:5:52: layers.a.device: expected a string, got 0"});
}

TEST_CASE("A layer without a device, where there are several") {
  Parts parts;
  parts.devices = R"("devices": {"a": {"kind": "cpu"}, "b": {"kind": "cpu"}})";
  parts.layers =
      R"("layers": [{"name": "flat", "type": "flatten", "device": "a"}, {"name": "fc", "type": "dense", "out_features": 10}])";
  CHECK(
      errors_of(parts.text()) ==
      Lines{
          "g.json:5:64: layers.fc.device: missing; expected the name of a device (a file with one device needs none)"});
}

TEST_CASE("What a layer reads") {
  const std::string a = R"({"name": "a", "type": "relu"}, )";
  CHECK(with_layers(a + R"({"name": "b", "type": "relu", "after": "c"})") ==
        Lines{"g.json:5:82: layers.b.after: unknown layer 'c'; known: a, b, input"});
  CHECK(with_layers(a + R"({"name": "b", "type": "relu", "after": ["imput"]})") ==
        Lines{"g.json:5:83: layers.b.after: unknown layer 'imput'; did you mean 'input'?"});
  CHECK(with_layers(a + R"({"name": "b", "type": "relu", "after": []})") ==
        Lines{"g.json:5:82: layers.b.after: expected a layer's name or a list of names, \"input\" for the network's "
              "input, got []"});
  CHECK(with_layers(a + R"({"name": "b", "type": "relu", "after": 0})").size() == 1);
  CHECK(with_layers(a + R"({"name": "b", "type": "relu", "after": ["a", "input"]})") ==
        Lines{"g.json:5:82: layers.b.after: expected 1 name for a layer of type relu, got 2"});
  CHECK(with_layers(a + R"({"name": "b", "type": "add"})") ==
        Lines{"g.json:5:43: layers.b.after: expected 2 or more names for a layer of type add, got 1"});
  CHECK(with_layers(a + R"({"name": "b", "type": "add", "after": ["a", "input", "a"]})").empty());
}

TEST_CASE("Attributes") {
  const std::string at = "g.json:5:12: ";
  CHECK(with_layers(conv + R"(, "kernal": 5})") ==
        Lines{"g.json:5:80: layers.conv1: unknown key 'kernal'; did you mean 'kernel'?"});
  CHECK(with_layers(R"({"name": "c", "type": "conv2d", "out_channels": 6, "kernel": -5})") ==
        Lines{"g.json:5:73: layers.c.kernel: expected a positive integer or a pair, got -5"});
  CHECK(with_layers(R"({"name": "c", "type": "conv2d"})") ==
        Lines{at + "layers.c.out_channels: missing; expected a positive integer",
              at + "layers.c.kernel: missing; expected a positive integer or a pair"});
  for (const char* kernel :
       {"0", "[5]", "[5, 5, 5]", "[5, 0]", "[5, \"5\"]", "5.5", "1e300", "true", "null", "{}", "\"same\""}) {
    CAPTURE(kernel);
    CHECK(with_layers(fmt::format(R"({{"name": "c", "type": "conv2d", "out_channels": 6, "kernel": {}}})", kernel))
              .size() == 1);
  }
  CHECK(with_layers(conv + R"(, "padding": "some"})") ==
        Lines{"g.json:5:91: layers.conv1.padding: expected an integer that is not negative, a pair, \"same\" or "
              "\"valid\", got \"some\""});
  CHECK(with_layers(conv + R"(, "padding": -1})").size() == 1);
  CHECK(with_layers(conv + R"(, "bias": "yes"})") ==
        Lines{"g.json:5:88: layers.conv1.bias: expected true or false, got \"yes\""});
  CHECK(with_layers(conv + R"(, "initializer": "he_norml"})")[0].ends_with(
      ", got \"he_norml\"; did you mean 'he_normal'?"));
  CHECK(with_layers(R"({"name": "d", "type": "dropout", "p": 1.5})")[0].starts_with(
      "g.json:5:50: layers.d.p: expected a number in [0, 1"));
  CHECK(with_layers(R"({"name": "d", "type": "dropout", "p": "0.5"})")[0].ends_with(
      "got \"0.5\"; write it without quotes"));
  CHECK(with_layers(R"({"name": "c", "type": "conv2d", "out_channels": 99999999999, "kernel": 5})") ==
        Lines{"g.json:5:60: layers.c.out_channels: expected at most 1048576, got 99999999999"});
  CHECK(with_layers(R"({"name": "c", "type": "conv2d", "out_channels": 1e999, "kernel": 5})") ==
        Lines{"g.json:5:60: expected a number that a double can hold, got 1e999"});
}

TEST_CASE("Whole numbers may be written as 3.0 or 3e0, pairs and rules are read") {
  Parts parts;
  parts.layers =
      "\"layers\": [" + conv +
      R"(, "padding": "same", "stride": [2, 1.0]}, {"name": "c2", "type": "conv2d", "out_channels": 6.0, "kernel": 3e0, "padding": [1, 2]}])";
  const GraphFile file = parse_graph_file(parts.text(), "g.json");
  CHECK(file.layers[0].attributes.padding("padding").rule == Padding::Rule::same);
  CHECK(file.layers[0].attributes.extent("stride") == Extent{2, 1});
  CHECK(file.layers[1].attributes.integer("out_channels") == 6);
  CHECK(file.layers[1].attributes.extent("kernel") == Extent{3, 3});
  CHECK(file.layers[1].attributes.padding("padding") == Padding{Padding::Rule::size, {1, 2}});
}

TEST_CASE("Data") {
  for (const char* set : {"\"\"", "\"../mnist\"", "\"/data\"", "\".hidden\"", "null", "\"a\\nb\""}) {
    CAPTURE(set);
    CHECK(with(&Parts::data, fmt::format(R"("data": {{"set": {}}})", set)).size() == 1);
  }
  CHECK(with(&Parts::data, R"("data": {})").size() == 1);
  CHECK(with(&Parts::data, R"("data": {"set": "my photos"})").empty());
  CHECK(with(&Parts::data, R"("data": {"set": "m", "preprocess": [{"type": "scal", "by": 1}]})") ==
        Lines{"g.json:4:46: data.preprocess[0].type: unknown preprocessing step 'scal'; did you mean 'scale'?"});
  CHECK(with(&Parts::data, R"("data": {"set": "m", "preprocess": {"type": "scale"}})").size() == 1);
  CHECK(with(&Parts::data, R"("data": {"set": "m", "preprocess": [{"type": "scale"}]})") ==
        Lines{"g.json:4:37: data.preprocess[0].by: missing; expected a number in (0, 1000000]"});
  CHECK(
      with(&Parts::data, R"("data": {"set": "m", "preprocess": [{"type": "normalize", "mean": [0.1, "x"], "std": 0}]})")
          .size() == 2);
  CHECK(with(&Parts::data, R"("data": {"set": "m", "preprocess": [{"type": "normalize", "mean": [], "std": [1]}]})")
            .size() == 1);
  CHECK(with(&Parts::data, R"("data": {"set": "m", "augment": [{"type": "shift", "pixels": 2, "by": 1}]})") ==
        Lines{"g.json:4:65: data.augment[0]: unknown key 'by'; known: pixels, type"});
  Parts parts;
  parts.data = R"("data": {"set": "m", "preprocess": [{"type": "normalize", "mean": 0.5, "std": [1, 2, 3]}]})";
  const Attributes attributes = parse_graph_file(parts.text(), "g.json").data.preprocess[0].attributes;
  CHECK(attributes.numbers("mean") == std::vector<double>{0.5});
  CHECK(attributes.numbers("std") == std::vector<double>{1, 2, 3});
}

TEST_CASE("Loss and training") {
  CHECK(with(&Parts::loss, R"("loss": "softmax_cross_entropy")") ==
        Lines{"g.json:6:9: loss: expected an object: { ... }, got \"softmax_cross_entropy\""});
  CHECK(with(&Parts::loss, R"("loss": {"type": "cross_entropy"})").size() == 1);
  CHECK(with(&Parts::loss, R"("loss": {"type": "mean_squared_error", "label_smoothing": 0.1})").size() == 1);
  const auto training = [](const std::string& fields) {
    return with(&Parts::training, "\"training\": {" + fields + "}");
  };
  CHECK(training("").empty());
  CHECK(training(R"("mode": "infer")").empty());
  CHECK(training(R"("mode": "test")") ==
        Lines{"g.json:7:22: training.mode: expected \"train\" or \"infer\", got \"test\""});
  CHECK(training(R"("epochs": 0)") == Lines{"g.json:7:24: training.epochs: expected a positive integer, got 0"});
  CHECK(training(R"("epochs": 1e12)") == Lines{"g.json:7:24: training.epochs: expected at most 1000000, got 1e12"});
  CHECK(training(R"("epochs": 2.5)") == Lines{"g.json:7:24: training.epochs: expected a positive integer, got 2.5"});
  CHECK(training(R"("seed": -1)") ==
        Lines{"g.json:7:22: training.seed: expected an integer that is not negative, got -1"});
  CHECK(training(R"("optimizer": {"learning_rate": 0})") ==
        Lines{"g.json:7:45: training.optimizer.learning_rate: expected a number in (0, 1000], got 0"});
  CHECK(training(R"("optimizer": {"learning_rate": 0.1})").empty());
  CHECK(training(R"("optimizer": {"type": "sgd", "learning_rate": 0.1, "beta1": 0.9})").size() == 1);
  CHECK(training(R"("optimizer": {"type": "adm", "learning_rate": 0.1})") ==
        Lines{"g.json:7:36: training.optimizer.type: unknown optimizer 'adm'; did you mean 'adam'?"});
  CHECK(training(R"("schedule": {"type": "step"})") ==
        Lines{"g.json:7:26: training.schedule.every: missing; expected a positive integer"});
  CHECK(training(R"("schedule": {"type": "cosin"})") ==
        Lines{"g.json:7:35: training.schedule.type: unknown learning-rate schedule 'cosin'; did you mean 'cosine'?"});
}

TEST_CASE("Seeds keep all their digits") {
  Parts parts;
  parts.training = R"("training": {"seed": 9007199254740993})";  // 2^53 + 1, which a double has not
  CHECK(parse_graph_file(parts.text(), "g.json").training.seed == 9007199254740993u);
}

TEST_CASE("Pipeline") {
  const auto pipeline = [](const std::string& fields) {
    return with(&Parts::pipeline, "\"pipeline\": {" + fields + "}");
  };
  CHECK(pipeline("").empty());
  CHECK(pipeline(R"("schedule": "gpip")") ==
        Lines{"g.json:8:26: pipeline.schedule: unknown schedule 'gpip'; did you mean 'gpipe'?"});
  CHECK(pipeline(R"("micro_batch": 65)") ==
        Lines{"g.json:8:29: pipeline.micro_batch: expected at most training.batch, which is 64, got 65"});
  CHECK(pipeline(R"("micro_batch": 0)") ==
        Lines{"g.json:8:29: pipeline.micro_batch: expected a positive integer, got 0"});
  CHECK(pipeline(R"("in_flight": 0)") == Lines{"g.json:8:27: pipeline.in_flight: expected a positive integer, got 0"});
  CHECK(pipeline(R"("link_capacity": 1e9)") ==
        Lines{"g.json:8:31: pipeline.link_capacity: expected at most 1048576, got 1e9"});
  CHECK(pipeline(R"("flush": true)").empty());
  CHECK(pipeline(R"("flush": false)").empty());
  CHECK(pipeline(R"("flush": false, "weight_versions": "double_buffered")").empty());
  CHECK(pipeline(R"("flush": 0)") == Lines{"g.json:8:23: pipeline.flush: expected true or false, got 0"});
  CHECK(pipeline(R"("flush": false, "weight_versions": "many")") ==
        Lines{"g.json:8:49: pipeline.weight_versions: expected \"stashing\" or \"double_buffered\", got \"many\""});
  CHECK(pipeline(R"("weight_versions": "stashing")") ==
        Lines{"g.json:8:33: pipeline.weight_versions: expected \"flush\": false beside it; with flush there is one "
              "version"});
  CHECK(pipeline(R"("schedule": "custom")").size() == 1);
  CHECK(pipeline(R"("schedule": "custom", "schedule_file": "mine.csv")").empty());
  CHECK(pipeline(R"("schedule_file": "mine.csv")") ==
        Lines{"g.json:8:31: pipeline.schedule_file: expected schedule 'custom' beside it, got 'gpipe'"});
  CHECK(pipeline(R"("schedule": "inference")").size() == 1);
  CHECK(pipeline(R"("watchdog_seconds": 0)").size() == 1);
  CHECK(pipeline(R"("watchdog_seconds": 2.5)").empty());
}

TEST_CASE("Stages by hand") {
  const auto stages = [](const std::string& list) {
    return with(&Parts::pipeline, "\"pipeline\": {\"stages\": " + list + "}");
  };
  CHECK(stages(R"([{"layers": ["flat", "fc"]}])").empty());
  CHECK(stages(R"([{"name": "all", "layers": ["flat", "fc"], "devices": ["cpu0"], "recompute": false}])").empty());
  CHECK(stages("[]") ==
        Lines{"g.json:8:24: pipeline.stages: expected a list of stages: [ {\"layers\": [...]}, ... ], got []"});
  CHECK(stages(R"([{"name": "s"}])") ==
        Lines{"g.json:8:25: pipeline.stages.s.layers: missing; expected a list of the names of layers"});
  CHECK(stages(R"([{"layers": []}])").size() == 1);
  CHECK(stages(R"([{"layers": ["flatt", "fc"]}])") ==
        Lines{"g.json:8:37: pipeline.stages[0].layers: unknown layer 'flatt'; did you mean 'flat'?"});
  CHECK(stages(R"([{"name": "s", "layers": ["flat", "fc"]}, {"layers": ["fc"]}])") ==
        Lines{"g.json:8:78: pipeline.stages[1].layers: layer 'fc' has a stage already: pipeline.stages.s"});
  CHECK(stages(R"([{"name": "s", "layers": ["flat"]}, {"name": "s", "layers": ["fc"]}])") ==
        Lines{"g.json:8:69: pipeline.stages.s.name: duplicate name 's'; the stage at 8:34 has it already"});
  CHECK(
      stages(R"([{"layers": ["flat", "fc"], "devices": ["cpu0", "cpu0"]}])") ==
      Lines{"g.json:8:72: pipeline.stages[0].devices: expected a list of different devices' names, one a replica, got "
            "\"cpu0\""});
  CHECK(stages(R"([{"layers": ["flat", "fc"], "devices": ["cpu1"]}])") ==
        Lines{"g.json:8:64: pipeline.stages[0].devices: unknown device 'cpu1'; did you mean 'cpu0'?"});
  CHECK(stages(R"([{"layers": ["flat", "fc"], "devices": []}])").size() == 1);
  CHECK(stages(R"([{"layers": ["flat", "fc"], "recompute": true}])").empty());
  CHECK(stages(R"([{"layers": ["flat", "fc"], "recompute": "yes"}])").size() == 1);
}

TEST_CASE("Costs of a stage") {
  Parts parts;
  const auto costs = [&](const std::string& fields) {
    parts.pipeline = R"("pipeline": {"stages": [{"name": "all", "layers": ["flat", "fc"], "costs": )" + fields + "}]}";
    return parts.text();
  };
  const GraphFile file = parse_graph_file(costs(R"({"forward_us": 12.5, "update_us": 0})"), "g.json");
  const StageCostsEntry& read = file.pipeline.stages[0].costs;
  CHECK(read.forward == 12.5);
  CHECK(read.update == 0.0);
  CHECK_FALSE(read.input_gradients);
  CHECK_FALSE(read.parameter_gradients);
  CHECK_FALSE(read.transfer);
  const Network network = make_network(file, {1, 28, 28}, 10);
  CHECK(network.stages[0].costs.forward == 12.5);
  CHECK(errors_of(costs("{}")).empty());
  CHECK(errors_of(costs(R"({"input_gradients_us": 3, "parameter_gradients_us": 4, "transfer_us": 5})")).empty());
  CHECK(errors_of(costs("7")).size() == 1);
  CHECK(errors_of(costs(R"({"forward_us": -1})")) ==
        Lines{"g.json:8:91: pipeline.stages.all.costs.forward_us: expected a number in [0, 1000000000], got -1"});
  CHECK(errors_of(costs(R"({"forward_us": "fast"})")).size() == 1);
  CHECK(errors_of(costs(R"({"foward_us": 1})")) ==
        Lines{"g.json:8:77: pipeline.stages.all.costs: unknown key 'foward_us'; did you mean 'forward_us'?"});
}

TEST_CASE("A stage's device is that of its layers") {
  Parts parts;
  parts.devices = R"("devices": {"a": {"kind": "cpu"}, "b": {"kind": "cpu"}})";
  parts.layers =
      R"("layers": [{"name": "flat", "type": "flatten", "device": "a"}, {"name": "fc", "type": "dense", "out_features": 10}])";
  parts.pipeline =
      R"("pipeline": {"stages": [{"layers": ["flat"], "devices": ["a"]}, {"layers": ["fc"], "devices": ["b"]}]})";
  CHECK(parse_graph_file(parts.text(), "g.json").layers[1].device == "b");
  parts.pipeline =
      R"("pipeline": {"stages": [{"layers": ["flat"], "devices": ["b"]}, {"layers": ["fc"], "devices": ["b"]}]})";
  CHECK(errors_of(parts.text()) == Lines{"g.json:8:58: pipeline.stages[0].devices: expected the device of its layers "
                                         "first; layer 'flat' is on 'a', not on 'b'"});
}

TEST_CASE("Ten thousand layers are read in no time, on one line too") {
  for (const char* separator : {",\n", ","}) {
    std::string layers;
    for (int i = 0; i < 10000; ++i)
      layers += fmt::format(R"({}{{"name": "l{}", "type": "relu"}})", i ? separator : "", i);
    Parts parts;
    parts.layers = "\"layers\": [" + layers + "]";
    const auto start = std::chrono::steady_clock::now();
    CHECK(parse_graph_file(parts.text(), "g.json").layers.size() == 10000);
    CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(2));
  }
}

// --set and --map.
#include "tests/engine/graph/support.h"

using namespace lenet_flow;
using namespace lenet_flow::graph_test;

namespace {

const std::string two_devices = [] {
  Parts parts;
  parts.devices = R"("devices": {"gpu0": {"kind": "cuda"}, "cpu0": {"kind": "cpu"}})";
  parts.layers = R"("layers": [{"name": "conv.1", "type": "conv2d", "out_channels": 6, "kernel": 5, "device": "gpu0"},
    {"name": "flat", "type": "flatten", "device": "cpu0"}, {"name": "fc", "type": "dense", "out_features": 10, "device": "cpu0"}])";
  parts.pipeline = R"("pipeline": {"stages": [{"name": "one", "layers": ["conv.1"]}, {"layers": ["flat", "fc"]}]})";
  return parts.text();
}();

GraphFile set(std::vector<std::string> sets) { return parse_graph_file(two_devices, "g.json", {std::move(sets), {}}); }
Lines set_errors(const std::string& one) { return errors_of(two_devices, {{one}, {}}); }
Lines map_errors(std::vector<std::string> maps) { return errors_of(two_devices, {{}, std::move(maps)}); }

}  // namespace

TEST_CASE("--set replaces any field of the file") {
  CHECK(set({"training.epochs=7"}).training.epochs == 7);
  CHECK(set({"name=other"}).name == "other");
  CHECK(set({"data.set=digits"}).data.set == "digits");
  CHECK(set({"data.shuffle=false"}).data.shuffle == false);
  CHECK(set({"training={\"epochs\": 3}"}).training.epochs == 3);
  CHECK(set({"layers.flat.device=gpu0"}).layers[1].device == "gpu0");
  CHECK(set({"layers.conv.1.kernel=[3, 5]"}).layers[0].attributes.extent("kernel") ==
        Extent{3, 5});                                                                          // a dot in the name
  CHECK(set({"layers.2.out_features=12"}).layers[2].attributes.integer("out_features") == 12);  // by number
  CHECK(set({"devices.cpu0.cores=[0, 1]"}).devices[1].core_list == std::vector<int>{0, 1});
  CHECK(set({"pipeline.stages.one.name=first"}).pipeline.stages[0].name == "first");
  CHECK(set({"pipeline.stages.1.name=second"}).pipeline.stages[1].name == "second");
}

TEST_CASE("--set makes a field that is not there") {
  CHECK(set({"training.seed=5"}).training.seed == 5);
  CHECK(set({"layers.conv.1.padding=same"}).layers[0].attributes.padding("padding").rule == Padding::Rule::same);
  CHECK(set({"training.optimizer.learning_rate=0.5"}).training.optimizer.attributes.number("learning_rate") == 0.5);
  CHECK(set({"devices.cpu1={\"kind\": \"cpu\"}", "layers.fc.device=cpu1"}).layers[2].device == "cpu1");
  Parts parts;
  parts.training = "";
  CHECK(parse_graph_file(parts.text(), "g.json", {{"training.epochs=4"}, {}}).training.epochs == 4);
}

TEST_CASE("The last --set of a field counts") {
  CHECK(set({"training.epochs=3", "training.epochs=4"}).training.epochs == 4);
}

TEST_CASE("A wrong value has the option as its place") {
  CHECK(set_errors("training.epochs=-3") ==
        Lines{"--set training.epochs=-3: training.epochs: expected a positive integer, got -3"});
  CHECK(set_errors("training.epochs=three") ==
        Lines{"--set training.epochs=three: training.epochs: expected a positive integer, got \"three\""});
  CHECK(set_errors("training.epochs=1e999").size() == 1);
  CHECK(set_errors("training.epochs=NaN").size() == 1);
  CHECK(set_errors("layers.flat.device=cpu9") ==
        Lines{"--set layers.flat.device=cpu9: layers.flat.device: unknown device 'cpu9'; did you mean 'cpu0'?"});
  CHECK(set_errors("layers.conv.1.kernal=3") ==
        Lines{"--set layers.conv.1.kernal=3: layers.conv.1: unknown key 'kernal'; did you mean 'kernel'?"});
  CHECK(set_errors("trainig.epochs=3") ==
        Lines{"--set trainig.epochs=3: unknown key 'trainig'; did you mean 'training'?"});
  CHECK(set_errors("pipeline.micro_batch=128") == Lines{"--set pipeline.micro_batch=128: pipeline.micro_batch: "
                                                        "expected at most training.batch, which is 64, got 128"});
}

TEST_CASE("A wrong path says what there is") {
  CHECK(set_errors("layers.conv.9.kernel=3") ==
        Lines{"--set layers.conv.9.kernel=3: layers: unknown layer 'conv'; known: conv.1, fc, flat"});
  CHECK(set_errors("layers.flatt.device=gpu0") ==
        Lines{"--set layers.flatt.device=gpu0: layers: unknown layer 'flatt'; did you mean 'flat'?"});
  CHECK(set_errors("layers.9.device=gpu0").size() == 1);
  CHECK(set_errors("devices.cpu1.cores=2") ==
        Lines{"--set devices.cpu1.cores=2: devices: unknown device 'cpu1'; did you mean 'cpu0'?"});
  CHECK(set_errors("name.first=x") ==
        Lines{"--set name.first=x: name: expected an object or a list to find 'first' in, got \"small\""});
  CHECK(set_errors("data.preprocess.0.by=2").size() == 1);
  CHECK(set_errors("loss.type.name=x").size() == 1);
  Parts parts;
  parts.more = "";
  CHECK(errors_of(parts.text(), {{"name.first=x"}, {}}) ==
        Lines{"--set name.first=x: name: expected a line of 1 to 100 bytes, got an object"});
}

TEST_CASE("What is no PATH=VALUE") {
  const std::string form = "expected PATH=VALUE, such as --set training.epochs=3";
  CHECK(set_errors("training.epochs") == Lines{"--set training.epochs: " + form});
  CHECK(set_errors("=3") == Lines{"--set =3: " + form});
  CHECK(set_errors("training.epochs=") == Lines{"--set training.epochs=: " + form});
  CHECK(set_errors("") == Lines{"--set : " + form});
  CHECK(set_errors(".epochs=3").size() == 1);
  CHECK(set_errors("training..epochs=3").size() == 1);
  CHECK(set_errors("training.=3").size() == 1);
  CHECK(set_errors("training={\"epochs\": 3") ==
        Lines{"--set training={\"epochs\": 3: expected ',' or '}' after the value before, got the end of the text"});
  CHECK(set_errors("name=\"\xff\"").size() == 1);
  CHECK(set_errors("name=\xff").size() >= 1);
}

TEST_CASE("--map puts a device on a kind or on another device") {
  const GraphFile file = parse_graph_file(two_devices, "g.json", {{}, {"gpu0=cpu0"}});
  CHECK(file.devices[0].mapped_to == "cpu0");
  CHECK(file.devices[0].asked == "cuda 0");
  CHECK(file.devices[1].mapped_to.empty());
  CHECK(parse_graph_file(two_devices, "g.json", {{}, {"gpu0=cpu"}}).devices[0].mapped_to == "cpu");
}

TEST_CASE("A wrong --map") {
  CHECK(map_errors({"gpu1=cpu"}) == Lines{"--map gpu1=cpu: unknown device 'gpu1'; did you mean 'gpu0'?"});
  CHECK(map_errors({"gpu0=cpu1"}) == Lines{"--map gpu0=cpu1: expected a kind (cpu, cuda) or another device of the "
                                           "file, got 'cpu1'; did you mean 'cpu0'?"});
  CHECK(map_errors({"gpu0=gpu0"}).size() == 1);
  CHECK(map_errors({"gpu0=cpu0", "cpu0=gpu0"}) ==
        Lines{"--map gpu0=cpu0: the devices stand for one another in a circle: gpu0 -> cpu0 -> gpu0"});
  for (const char* wrong : {"gpu0", "=cpu", "gpu0=", ""}) {
    CAPTURE(wrong);
    const Lines lines = map_errors({wrong});
    REQUIRE(lines.size() == 1);
    CHECK(lines[0].ends_with("expected DEVICE=WHAT, such as --map gpu0=cpu"));
  }
}

TEST_CASE("Errors of the file, of --set and of --map come together") {
  Parts parts;
  parts.training = R"("training": {"epochs": 0})";
  CHECK(errors_of(parts.text(), {{"pipeline.flush=3"}, {"gpu0=cpu"}}).size() == 3);
}

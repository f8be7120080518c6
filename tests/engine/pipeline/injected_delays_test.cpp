#include "engine/pipeline/injected_delays.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "tests/engine/pipeline/rig.h"

using namespace lenet_flow;
using namespace lenet_flow::test;

namespace {

constexpr double millisecond = 1e-3;

/// Two stages: conv on a (3 x 10 x 10 floats an image), flat and fc on b. `inject`: entries of pipeline.inject.
Rig rig_with(const std::string& inject) {
  return Rig(graph_text(R"("a": {"kind": "cpu", "cores": 1}, "b": {"kind": "cpu", "cores": 1})",
                        R"({"name": "conv", "type": "conv2d", "out_channels": 3, "kernel": 3, "device": "a"},
       {"name": "flat", "type": "flatten", "device": "b"},
       {"name": "fc", "type": "dense", "out_features": 4, "device": "b"})",
                        R"("micro_batch": 2, "inject": [)" + inject + "]"));
}

PipelineOptions options_of(const Rig& rig, const std::string& schedule = "gpipe") {
  PipelineOptions options = rig.options(schedule);
  options.delays = resolve_delays(rig.network(), rig.file().pipeline.inject);
  return options;
}

/// The accounts of the two stages, over a pass.
std::vector<TimeAccount> accounts(const std::string& inject, std::int64_t images = 16) {
  const Rig rig = rig_with(inject);
  const auto pipeline = rig.pipeline(options_of(rig));
  PassRequest request = rig.request(images);
  request.timed = true;
  pipeline->run(request);
  return pipeline->account().units();
}

std::string error_of(const std::string& inject) {
  const Rig rig = rig_with(inject);
  try {
    resolve_delays(rig.network(), rig.file().pipeline.inject);
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("delays change no bit") {
  const Rig plain = rig_with("");
  for (const char* schedule : {"gpipe", "1f1b", "sequential"}) {
    const auto expected = plain.train(options_of(plain, schedule), 24);
    for (const char* inject : {R"("conv=+300us")", R"("fc=x3", "b=x2")", R"("link:conv->fc=+300us,20MB/s")",
                               R"("a=x4", "link:conv->fc=+1ms")"}) {
      const Rig rig = rig_with(inject);
      CHECK_MESSAGE(difference(expected, rig.train(options_of(rig, schedule), 24)) == "", inject);
    }
  }
}

TEST_CASE("a layer's delay is compute of its stage and told as injected") {
  const auto units = accounts(R"("fc=+2ms")");
  // 8 micro-batches, each F and B of fc.
  CHECK(units[1].injected_seconds >= 16 * 2 * millisecond);
  CHECK(units[1].injected_seconds < 16 * 20 * millisecond);
  CHECK(units[1].seconds.compute >= units[1].injected_seconds);
  CHECK(units[0].injected_seconds == 0);
  CHECK(units[0].seconds.compute < units[1].seconds.compute);
  // The other stage waits for it.
  CHECK(units[0].seconds.starved + units[0].seconds.blocked + units[0].seconds.drain >= 16 * millisecond);
}

TEST_CASE("a layer's delay is in the layer's own times") {
  const Rig rig = rig_with(R"("fc=+2ms")");
  const auto pipeline = rig.pipeline(options_of(rig));
  PassRequest request = rig.request(16);
  request.timed = true;
  pipeline->run(request);
  int delayed = 0;
  for (const StepAccount& step : pipeline->account().steps()) {
    if (step.step == "fc") {
      ++delayed;
      CHECK(step.durations.quantile_seconds(0.01) >= 1.9 * millisecond);
    } else {
      CHECK(step.durations.quantile_seconds(0.1) < 1.9 * millisecond);
    }
  }
  CHECK(delayed == 2);
}

TEST_CASE("a device that takes three times as long waits for two thirds of its time") {
  const auto units = accounts(R"("a=x3")", 40);
  const double share = units[0].injected_seconds / units[0].seconds.compute;
  CHECK(share > 0.5);
  CHECK(share < 0.85);  // sleeping lasts a little longer than asked
  CHECK(units[1].injected_seconds == 0);
}

TEST_CASE("a slow link is transfer, at both of its ends, and no compute") {
  // An image's activations are 1200 bytes: at 600 kB/s a micro-batch of two occupies the link for 4 ms, either way.
  const auto units = accounts(R"("link:conv->fc=600kB/s")");
  for (const TimeAccount& unit : units) {
    // Of the four micro-batches of a batch the first finds its stage filling.
    CHECK(unit.seconds.transfer >= 3 * 3 * millisecond);
    CHECK(unit.injected_seconds >= 2 * 3 * 3 * millisecond);
    CHECK(unit.seconds.compute < unit.seconds.transfer);
  }
  // ... and is delayed all the same.
  CHECK(units[1].seconds.fill >= 3 * millisecond);
}

TEST_CASE("a link that is slower than the watchdog is patient is no alarm") {
  const Rig rig = rig_with(R"("link:conv->fc=+1300ms")");
  CHECK(rig.pipeline(options_of(rig))->run(rig.request(2, Mode::infer)).images == 2);
}

TEST_CASE("what is sent over a slow link waits for what was sent before it, each way for itself") {
  LinkDelay delay;
  delay.latency = 100;
  delay.bytes_per_second = 1e9;
  delay.forward_bytes = 50;
  delay.backward_bytes = 20;
  SlowLink link(delay);
  CHECK(link.send(1000, true, 4) == 1000 + 200 + 100);
  CHECK(link.send(1010, true, 1) == 1200 + 50 + 100);     // after the first
  CHECK(link.send(1010, false, 10) == 1010 + 200 + 100);  // the other way is free
  CHECK(link.send(5000, true, 1) == 5000 + 50 + 100);     // free again
  LinkDelay endless = delay;
  endless.bytes_per_second = 0;
  SlowLink latency_only(endless);
  CHECK(latency_only.send(1000, true, 1000) == 1100);
  CHECK(latency_only.send(1000, true, 1000) == 1100);
}

TEST_CASE("delays find their layers, devices and links") {
  const Rig rig = rig_with(R"("fc=+2us", "b=x1.5", "link:conv->flat=+50us,1GB/s", "layer:fc=x2,+3us", "device:b=x2")");
  const InjectedDelays delays = resolve_delays(rig.network(), rig.file().pipeline.inject);
  CHECK(delays.layers[2].longer == 3000);  // the later of two
  CHECK(delays.layers[2].factor == 2);
  CHECK(delays.layers[0].longer == 0);
  CHECK(delays.device_factor("b") == 2);
  CHECK(delays.device_factor("a") == 1);
  REQUIRE(delays.links.size() == 1);
  CHECK(delays.links[0].latency == 50'000);
  CHECK(delays.links[0].bytes_per_second == 1e9);
  CHECK(delays.links[0].forward_bytes == 1200);
  CHECK(delays.links[0].backward_bytes == 1200);
  REQUIRE(delays.results.size() == 3);
  CHECK(delays.results[0].name == "conv->flat..fc");
  CHECK(delays.results[1].text == "layer:fc=x2,+3us");
  CHECK(delays.results[2].what == "device");
}

TEST_CASE("a split layer is delayed in its parts") {
  const Rig rig(graph_text(
      R"("a": {"kind": "cpu", "cores": 1}, "b": {"kind": "cpu", "cores": 1})",
      R"({"name": "conv", "type": "conv2d", "out_channels": 4, "kernel": 3, "device": "a", "split": ["a", "b"]},
         {"name": "flat", "type": "flatten", "device": "b"},
         {"name": "fc", "type": "dense", "out_features": 4, "device": "b"})",
      R"("micro_batch": 2, "inject": ["conv=+1us"])"));
  const InjectedDelays delays = resolve_delays(rig.network(), rig.file().pipeline.inject);
  int delayed = 0;
  for (std::size_t i = 0; i < delays.layers.size(); ++i) {
    if (delays.layers[i].longer == 0) continue;
    ++delayed;
    CHECK(rig.network().layers[i].part.join >= 0);
  }
  CHECK(delayed == 2);
}

TEST_CASE("a link that is not there is an error with its place and what would be right") {
  CHECK(error_of(R"("link:conv->fc=+1us")") == "");
  CHECK(error_of(R"("link:conv->flat..fc=+1us")") == "");
  CHECK(error_of(R"("link:convv->fc=+1us")") ==
        "test.json:10:46: pipeline.inject: unknown stage or layer 'convv'; did you mean 'conv'?");
  CHECK(error_of(R"("link:fc->conv=+1us")") ==
        "test.json:10:46: pipeline.inject: there is no link 'fc->conv'; write conv->flat..fc, which delays activations "
        "and gradients");
  CHECK(error_of(R"("link:flat->fc=+1us")") ==
        "test.json:10:46: pipeline.inject: 'flat->fc' is no link: both ends are in stage 'flat..fc'");
  CHECK(error_of(R"("link:conv->none=1GB/s", "link:none->fc=1GB/s")").find('\n') != std::string::npos);
}

#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "devices/random.h"
#include "engine/training/trainer.h"
#include "tests/engine/training/temporary_folder.h"

namespace lenet_flow {

/// A training that takes a moment: 100 images for training and 40 for testing, of 10 x 10 pixels in four classes (a
/// bright quarter each, with noise), as IDX files in a folder of their own; and a small network with dropout. Neither
/// the micro-batch divides the batch nor the batch the data.
class SmallTraining {
 public:
  static constexpr int train_images = 100, test_images = 40;

  SmallTraining() {
    std::filesystem::create_directories(folder_ / "data" / "quarters");
    write_split("train", train_images, 1);
    write_split("t10k", test_images, 2);
  }

  std::filesystem::path path(const std::string& name) const { return folder_ / name; }

  /// Options for the network on one device, or cut in two. `sets`: as --set has them.
  RunOptions options(bool two_stages, std::vector<std::string> sets = {}) const {
    RunOptions options;
    options.graph = folder_ / (two_stages ? "two.json" : "one.json");
    write_bytes(options.graph, graph(two_stages));
    options.data = folder_ / "data";
    options.changes.sets = std::move(sets);
    return options;
  }

 private:
  static std::string graph(bool two_stages) {
    const std::string last = two_stages ? "cpu1" : "cpu0";
    return R"({"version": 1, "name": "quarters", "devices": {"cpu0": {"kind": "cpu"})" +
           std::string(two_stages ? R"(, "cpu1": {"kind": "cpu"})" : "") + R"(},
      "data": {"set": "quarters", "augment": [{"type": "shift", "pixels": 1}]},
      "layers": [
        {"name": "conv1", "type": "conv2d", "out_channels": 3, "kernel": 3, "device": "cpu0"},
        {"name": "relu1", "type": "relu", "device": "cpu0"},
        {"name": "pool1", "type": "max_pool", "kernel": 2, "device": "cpu0"},
        {"name": "flat", "type": "flatten", "device": ")" +
           last + R"("},
        {"name": "drop", "type": "dropout", "p": 0.2, "device": ")" +
           last + R"("},
        {"name": "fc1", "type": "dense", "out_features": 4, "device": ")" +
           last + R"("}],
      "loss": {"type": "softmax_cross_entropy"},
      "training": {"epochs": 3, "batch": 16, "seed": 7,
                   "optimizer": {"type": "sgd", "learning_rate": 0.1, "momentum": 0.9}},
      "pipeline": {"schedule": "gpipe", "micro_batch": 6}})";
  }

  static std::string big_endian(std::uint32_t value) {
    std::string bytes;
    for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(value >> shift & 255);
    return bytes;
  }

  void write_split(const std::string& split, int images, std::uint32_t seed) {
    std::string pixels = big_endian(0x803) + big_endian(static_cast<std::uint32_t>(images)) + big_endian(10) +
                         big_endian(10),
                labels = big_endian(0x801) + big_endian(static_cast<std::uint32_t>(images));
    for (int image = 0; image < images; ++image) {
      const RandomStream noise(seed, 0, static_cast<std::uint32_t>(image), "pixels");
      const int label = image % 4;
      labels += static_cast<char>(label);
      for (int i = 0; i < 100; ++i) {
        const bool bright = (i / 10 >= 5) == (label >= 2) && (i % 10 >= 5) == (label % 2 == 1);
        pixels += static_cast<char>(noise.below(static_cast<std::uint64_t>(i), 120) + (bright ? 100 : 0));
      }
    }
    write_bytes(folder_ / "data" / "quarters" / (split + "-images-idx3-ubyte"), pixels);
    write_bytes(folder_ / "data" / "quarters" / (split + "-labels-idx1-ubyte"), labels);
  }

  TemporaryFolder folder_;
};

}  // namespace lenet_flow
